use crate::{
    Db, StoreError,
    db::Backend,
    engine::{Conn, sqlite::unavailable, writer::Lease},
};
use sqlx::Postgres;

/// A transaction that no other node runs at the same time: migration and restore.
pub(crate) enum Exclusive {
    Sqlite(Lease),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// One lock for each schema. These transactions may be long, and wait long for each other.
const POSTGRES_LOCK: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '600s';
    SELECT pg_advisory_xact_lock(hashtextextended('keystead ' || coalesce(current_schema(), ''), 0))";

impl Exclusive {
    pub(crate) async fn begin(db: &Db) -> Result<Self, StoreError> {
        let (mut exclusive, script) = match &db.inner().backend {
            Backend::Sqlite(sqlite) => (
                Self::Sqlite(sqlite.writer.exclusive().await?),
                "BEGIN IMMEDIATE",
            ),
            Backend::Postgres(pool) => (
                Self::Postgres(pool.begin().await.map_err(|error| unavailable(&error))?),
                POSTGRES_LOCK,
            ),
        };
        exclusive
            .conn()?
            .run_script(script.to_owned(), "lock")
            .await?;
        Ok(exclusive)
    }

    pub(crate) fn conn(&mut self) -> Result<Conn<'_>, StoreError> {
        match self {
            Self::Sqlite(lease) => lease
                .connection()
                .map(Conn::Sqlite)
                .ok_or(StoreError::Failed { statement: "lock" }),
            Self::Postgres(transaction) => Ok(Conn::Postgres(transaction)),
        }
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        if let Self::Sqlite(_) = self {
            self.conn()?
                .run_script("COMMIT".to_owned(), "commit")
                .await?;
        }
        match self {
            Self::Sqlite(lease) => lease.commit().await,
            Self::Postgres(transaction) => transaction
                .commit()
                .await
                .map_err(|error| unavailable(&error)),
        }
    }
}
