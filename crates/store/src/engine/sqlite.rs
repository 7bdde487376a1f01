use super::{Constraints, writer::Writer};
use crate::{StoreError, Synchronous, db::GroupLimits, dialect};
use sqlx::{
    ConnectOptions, Row as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// How long a statement waits for another process that holds the write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for the writer or for a free reader.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers are threads; more of them than this only compete for the cores.
const READERS: u32 = 4;

pub(crate) struct Sqlite {
    pub(crate) writer: Writer,
    pub(crate) readers: SqlitePool,
    constraints: RwLock<Arc<Constraints>>,
}

impl Sqlite {
    pub(crate) async fn open(
        path: &Path,
        synchronous: Synchronous,
        limits: GroupLimits,
    ) -> Result<Self, StoreError> {
        make_private(path)
            .map_err(|error| StoreError::Config(format!("cannot open the SQLite file: {error}")))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(match synchronous {
                Synchronous::Full => SqliteSynchronous::Full,
                Synchronous::Normal => SqliteSynchronous::Normal,
            })
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(512)
            .pragma("trusted_schema", "OFF")
            .pragma("temp_store", "MEMORY")
            .pragma("journal_size_limit", "67108864")
            .disable_statement_logging();
        // The pages that writers change again and again stay in memory, and are copied from the log
        // into the file once for many changes.
        let writing = options
            .clone()
            .pragma("cache_size", "-16384")
            .pragma("wal_autocheckpoint", "4000");
        // The writer comes first: it makes the WAL files that a read-only connection cannot make.
        let connection = writing
            .connect()
            .await
            .map_err(|error| unavailable(&error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options.clone().read_only(true))
            .await
            .map_err(|error| unavailable(&error))?;
        let sqlite = Self {
            writer: Writer::start(connection, writing, limits),
            readers,
            constraints: RwLock::default(),
        };
        sqlite.reload_constraints().await?;
        Ok(sqlite)
    }

    pub(crate) fn constraints(&self) -> Arc<Constraints> {
        Arc::clone(
            &self
                .constraints
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Learns the names of the unique indexes; needed again after a migration.
    pub(crate) async fn reload_constraints(&self) -> Result<(), StoreError> {
        let mut conn = self
            .readers
            .acquire()
            .await
            .map_err(|error| unavailable(&error))?;
        let found = unique_indexes(&mut conn)
            .await
            .map_err(|error| unavailable(&error))?;
        *self
            .constraints
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
        Ok(())
    }
}

async fn unique_indexes(conn: &mut SqliteConnection) -> Result<Constraints, sqlx::Error> {
    let mut found = Constraints::default();
    for row in sqlx::query(dialect::SQLITE_UNIQUE_INDEXES)
        .fetch_all(conn)
        .await?
    {
        let (table, index, origin): (String, String, String) = (
            row.try_get("tbl")?,
            row.try_get("idx")?,
            row.try_get("origin")?,
        );
        let columns: String = row.try_get("columns")?;
        // What PostgreSQL calls the constraints that have no name of their own.
        let name = match origin.as_str() {
            "pk" => format!("{table}_pkey"),
            "u" => format!("{table}_{}_key", columns.replace(", ", "_")),
            _ => index,
        };
        let shown = columns
            .split(", ")
            .map(|column| format!("{table}.{column}"))
            .collect::<Vec<_>>()
            .join(", ");
        found.0.entry(shown).or_default().push(name);
    }
    Ok(found)
}

/// Only the owner may read the file; SQLite gives its WAL files the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    // SECURITY: created with the mode, not changed afterwards, so there is no moment to slip in.
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    for ending in ["-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(ending);
        if Path::new(&beside).exists() {
            fs::set_permissions(&beside, fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

pub(crate) fn unavailable(error: &sqlx::Error) -> StoreError {
    StoreError::from_sqlx(error, "connect", &Constraints::default())
}
