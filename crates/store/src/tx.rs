use crate::{
    Boxed, Execute, Fetch, Params, Query, Row, Sql, StoreError, Value,
    db::{Backend, Inner},
    engine::{Conn, writer::Lease},
};
use keystead_types::EnvironmentId;
use sqlx::Postgres;
use std::sync::{Arc, atomic::Ordering};

/// Writers of one lane wait for each other until the commit; this many can go on at once.
const LANES: u32 = 16;

/// A write transaction of one environment. Dropping it rolls back.
///
/// The first statement that fails, or whose future is dropped half-way, ends it on both engines:
/// later statements and the commit answer [`StoreError::Failed`]. Where a conflict is expected, use
/// `ON CONFLICT DO NOTHING`.
#[must_use = "a dropped transaction is rolled back"]
pub struct Tx {
    core: Core,
    env: EnvironmentId,
}

/// A transaction without an environment.
pub(crate) struct Core {
    db: Arc<Inner>,
    open: Open,
    ordinal: u64,
    /// Set while a statement runs and left set when it is cut off.
    failed: bool,
}

enum Open {
    Sqlite(Lease),
    Postgres(sqlx::Transaction<'static, Postgres>),
    /// A statement failed; the connection went back at once, so nobody waits for it.
    Ended,
}

impl Core {
    pub(crate) async fn begin(db: Arc<Inner>) -> Result<Self, StoreError> {
        let open = match &db.backend {
            Backend::Sqlite(sqlite) => Open::Sqlite(sqlite.writer.begin().await?),
            Backend::Postgres(pool) => {
                let begun = Box::pin(pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")).await;
                Open::Postgres(
                    begun.map_err(|error| {
                        StoreError::from_sqlx(&error, "begin", &db.constraints())
                    })?,
                )
            }
        };
        let ordinal = db.next_ordinal();
        Ok(Self {
            db,
            open,
            ordinal,
            failed: false,
        })
    }

    pub(crate) fn fetch_all(
        &mut self,
        sql: Sql,
        values: Vec<Value>,
    ) -> Boxed<'_, Result<Vec<Row>, StoreError>> {
        Box::pin(async move {
            let constraints = self.db.constraints();
            let done = self.conn(sql)?.fetch_all(sql, values, &constraints).await;
            self.settle(done)
        })
    }

    pub(crate) fn execute(
        &mut self,
        sql: Sql,
        values: Vec<Value>,
    ) -> Boxed<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let constraints = self.db.constraints();
            let done = self.conn(sql)?.execute(sql, values, &constraints).await;
            self.settle(done)
        })
    }

    fn settle<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if done.is_ok() {
            self.failed = false;
        } else {
            self.open = Open::Ended;
        }
        done
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Failed {
                statement: "commit",
            });
        }
        match self.open {
            Open::Ended => Err(StoreError::Failed {
                statement: "commit",
            }),
            Open::Sqlite(lease) => lease.commit().await,
            Open::Postgres(transaction) => {
                let committed = Box::pin(transaction.commit()).await;
                committed.map_err(|error| StoreError::NotCommitted {
                    message: StoreError::from_sqlx(&error, "commit", &self.db.constraints())
                        .to_string(),
                })?;
                self.db.committed.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Marks the transaction as failed until the statement is through.
    fn conn(&mut self, sql: Sql) -> Result<Conn<'_>, StoreError> {
        if self.failed {
            return Err(StoreError::Failed {
                statement: sql.name(),
            });
        }
        self.failed = true;
        match &mut self.open {
            Open::Sqlite(lease) => lease
                .connection()
                .map(Conn::Sqlite)
                .ok_or(StoreError::Failed {
                    statement: sql.name(),
                }),
            Open::Postgres(transaction) => Ok(Conn::Postgres(transaction)),
            Open::Ended => Err(StoreError::Failed {
                statement: sql.name(),
            }),
        }
    }
}

/// The only row of an answer.
pub(crate) fn at_most_one(mut rows: Vec<Row>, sql: Sql) -> Result<Option<Row>, StoreError> {
    if rows.len() > 1 {
        return Err(StoreError::RowCount {
            statement: sql.name(),
            found: rows.len(),
        });
    }
    Ok(rows.pop())
}

impl Tx {
    pub(crate) async fn begin(db: Arc<Inner>, env: EnvironmentId) -> Result<Self, StoreError> {
        Ok(Self {
            core: Core::begin(db).await?,
            env,
        })
    }

    pub(crate) const fn in_environment(core: Core, env: EnvironmentId) -> Self {
        Self { core, env }
    }

    pub(crate) const fn core(&mut self) -> &mut Core {
        &mut self.core
    }

    pub(crate) const fn switch(&mut self, env: EnvironmentId) {
        self.env = env;
    }

    /// The lane of the transaction in rows that many would change at once: below 16, the
    /// same during the transaction, spread evenly over transactions.
    pub fn lane(&self) -> u32 {
        u32::try_from(self.core.ordinal % u64::from(LANES)).unwrap_or(0)
    }

    /// Makes everything durable, and returns only then.
    ///
    /// # Errors
    /// [`StoreError::Failed`] after a failed statement, [`StoreError::NotCommitted`] when the
    /// engine could not; in both cases nothing is stored.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.core.commit().await
    }
}

impl Fetch for Tx {
    type Statement = Sql;

    fn fetch_all(
        &mut self,
        sql: impl Into<Sql>,
        params: impl Params,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send {
        self.core.fetch_all(sql.into(), params.into_values())
    }

    fn fetch_optional(
        &mut self,
        sql: impl Into<Sql>,
        params: impl Params,
    ) -> impl Future<Output = Result<Option<Row>, StoreError>> + Send {
        let sql = sql.into();
        let rows = self.core.fetch_all(sql, params.into_values());
        async move { at_most_one(rows.await?, sql) }
    }
}

impl Query for Tx {
    fn env(&self) -> EnvironmentId {
        self.env
    }
}

impl Execute for Tx {
    fn execute(
        &mut self,
        sql: impl Into<Sql>,
        params: impl Params,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send {
        self.core.execute(sql.into(), params.into_values())
    }
}
