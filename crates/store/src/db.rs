use crate::{
    Engine, Read, Sql, StoreError, Tx, admin,
    engine::{Constraints, postgres, sqlite::Sqlite},
    migrations,
};
use keystead_types::{EnvironmentId, Secret};
use sqlx::{Executor, PgPool, SqlSafeStr};
use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Where the data is.
#[derive(Clone, Debug)]
pub enum DatabaseConfig {
    /// One file, one process.
    Sqlite {
        /// The file; its folder must exist. It is made readable for its owner only.
        path: PathBuf,
        /// What a commit waits for.
        synchronous: Synchronous,
    },
    /// A server that several nodes may share.
    Postgres {
        /// `postgres://user:password@host:port/database`
        url: Secret<String>,
        /// Size of the connection pool of this node.
        max_connections: u32,
    },
}

/// What a commit on SQLite waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Synchronous {
    /// The data is on the disk.
    #[default]
    Full,
    /// The data is handed to the operating system. A power loss may undo the last commits, which
    /// would revive consumed codes and rotated refresh tokens.
    Normal,
}

/// When a group of SQLite transactions is committed although more are waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupLimits {
    /// Age of the group.
    pub delay: Duration,
    /// Transactions in it.
    pub size: usize,
}

impl Default for GroupLimits {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(1),
            size: 256,
        }
    }
}

/// What the write side has done since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WriteCounters {
    /// Transactions that are durable.
    pub transactions: u64,
    /// Commits of the engine they took; fewer than transactions where they are grouped.
    pub commits: u64,
    /// Callers that wait for the only writer of SQLite right now.
    pub waiting: u64,
}

/// The database: cheap to clone, shared by everything in the process.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) backend: Backend,
    pub(crate) committed: AtomicU64,
    begun: AtomicU64,
}

pub(crate) enum Backend {
    Sqlite(Sqlite),
    Postgres(PgPool),
}

impl Inner {
    pub(crate) fn constraints(&self) -> Arc<Constraints> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.constraints(),
            Backend::Postgres(_) => Arc::default(),
        }
    }

    pub(crate) fn next_ordinal(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::Relaxed)
    }
}

impl Db {
    /// Connects. A SQLite file is created when it does not exist; no table is.
    ///
    /// # Errors
    /// [`StoreError::Config`] for settings that make no sense, [`StoreError::Unavailable`] when
    /// there is no connection.
    pub async fn open(config: &DatabaseConfig) -> Result<Self, StoreError> {
        Self::open_with(config, GroupLimits::default()).await
    }

    /// As [`Db::open`], with other limits for the group commit of SQLite.
    pub async fn open_with(
        config: &DatabaseConfig,
        limits: GroupLimits,
    ) -> Result<Self, StoreError> {
        let backend = match config {
            DatabaseConfig::Sqlite { path, synchronous } => {
                Backend::Sqlite(Sqlite::open(path, *synchronous, limits).await?)
            }
            DatabaseConfig::Postgres {
                url,
                max_connections,
            } => Backend::Postgres(postgres::open(url.expose(), *max_connections).await?),
        };
        Ok(Self(Arc::new(Inner {
            backend,
            committed: AtomicU64::new(0),
            begun: AtomicU64::new(0),
        })))
    }

    /// Brings the tables to the state this program expects. Safe to call by several nodes at once.
    ///
    /// # Errors
    /// [`StoreError::Migration`] when an applied migration was changed or the database is newer.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrations::run(self, None).await
    }

    /// Version of the tables and version this program expects; equal when nothing is to be done.
    pub async fn schema_version(&self) -> Result<(u32, u32), StoreError> {
        Ok((migrations::applied(self).await?, migrations::latest()))
    }

    /// The engine.
    pub fn engine(&self) -> Engine {
        match self.0.backend {
            Backend::Sqlite(_) => Engine::Sqlite,
            Backend::Postgres(_) => Engine::Postgres,
        }
    }

    /// Begins a write transaction of one environment. Dropping it rolls back.
    ///
    /// No network call may be made while it is open: on SQLite everybody else waits.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when no connection becomes free.
    pub async fn begin(&self, env: EnvironmentId) -> Result<Tx, StoreError> {
        Tx::begin(Arc::clone(&self.0), env).await
    }

    /// Reads committed rows of one environment, without a transaction.
    pub fn read(&self, env: EnvironmentId) -> Read<'_> {
        Read::new(&self.0, env)
    }

    /// Begins a write transaction over system tables and all environments.
    pub async fn begin_admin(&self) -> Result<admin::Tx, StoreError> {
        admin::Tx::begin(Arc::clone(&self.0)).await
    }

    /// Reads committed rows of system tables and all environments.
    pub fn read_admin(&self) -> admin::Read<'_> {
        admin::Read::new(&self.0)
    }

    /// Counters for metrics.
    pub fn write_counters(&self) -> WriteCounters {
        match &self.0.backend {
            Backend::Sqlite(sqlite) => sqlite.writer.counters(),
            Backend::Postgres(_) => {
                let committed = self.0.committed.load(Ordering::Relaxed);
                WriteCounters {
                    transactions: committed,
                    commits: committed,
                    waiting: 0,
                }
            }
        }
    }

    /// Moves the write-ahead log of SQLite into the database file and empties it. PostgreSQL does
    /// this itself.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        let Backend::Sqlite(sqlite) = &self.0.backend else {
            return Ok(());
        };
        let mut lease = sqlite.writer.exclusive().await?;
        if let Some(connection) = lease.connection() {
            let script = "PRAGMA wal_checkpoint(TRUNCATE)".to_owned();
            crate::engine::Conn::Sqlite(connection)
                .run_script(script, "checkpoint")
                .await?;
        }
        lease.commit().await
    }

    /// Waits for open transactions and closes all connections; later calls fail.
    pub async fn close(&self) {
        match &self.0.backend {
            Backend::Sqlite(sqlite) => {
                sqlite.readers.close().await;
                sqlite.writer.close().await;
            }
            Backend::Postgres(pool) => pool.close().await,
        }
    }

    /// Checks that the engine understands a statement and knows the type of its parameters.
    pub async fn prepare(&self, sql: Sql) -> Result<(), StoreError> {
        let (text, constraints) = (sql.text(self.engine()), Constraints::default());
        let prepared = match &self.0.backend {
            Backend::Sqlite(sqlite) => sqlite.readers.prepare(text.into_sql_str()).await.map(drop),
            Backend::Postgres(pool) => pool.prepare(text.into_sql_str()).await.map(drop),
        };
        prepared.map_err(|error| StoreError::from_sqlx(&error, sql.name(), &constraints))
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Db({:?})", self.engine())
    }
}
