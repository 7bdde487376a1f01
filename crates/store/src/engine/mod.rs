//! The two engines behind one face: connections, and running a statement on one.

pub(crate) mod postgres;
pub(crate) mod sqlite;
pub(crate) mod writer;

use crate::{
    Row, Sql, StoreError, Value,
    row::Inner,
    value::{postgres_arguments, sqlite_arguments},
};
use sqlx::{AssertSqlSafe, Executor, PgConnection, SqliteConnection, query_with};
use std::collections::HashMap;

/// Which database is behind a [`Db`](crate::Db).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Names of the unique indexes of a SQLite database by the columns its messages show.
#[derive(Clone, Default, Debug)]
pub(crate) struct Constraints(pub(crate) HashMap<String, Vec<String>>);

impl Constraints {
    /// The indexes that "UNIQUE constraint failed: t.a, t.b" may speak of.
    pub(crate) fn named_by(&self, message: &str) -> Vec<String> {
        let columns = message
            .rsplit("constraint failed: ")
            .next()
            .unwrap_or(message)
            .trim();
        if let Some(index) = columns.strip_prefix("index '") {
            return vec![index.trim_end_matches('\'').to_owned()];
        }
        self.0
            .get(columns)
            .cloned()
            .unwrap_or_else(|| vec![columns.to_owned()])
    }
}

/// A connection of either engine, borrowed for one statement.
pub(crate) enum Conn<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Conn<'_> {
    pub(crate) const fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs a statement to its end and returns all rows.
    pub(crate) async fn fetch_all(
        &mut self,
        sql: Sql,
        values: Vec<Value>,
        constraints: &Constraints,
    ) -> Result<Vec<Row>, StoreError> {
        let text = self.check(sql, &values)?;
        self.fetch_text(text, values)
            .await
            .map_err(|error| StoreError::from_sqlx(&error, sql.name(), constraints))
    }

    /// Runs a statement and returns how many rows it touched.
    pub(crate) async fn execute(
        &mut self,
        sql: Sql,
        values: Vec<Value>,
        constraints: &Constraints,
    ) -> Result<u64, StoreError> {
        let text = self.check(sql, &values)?;
        let done = match self {
            Self::Sqlite(conn) => match sqlite_arguments(values) {
                Ok(arguments) => conn
                    .execute(query_with(text, arguments))
                    .await
                    .map(|done| done.rows_affected()),
                Err(error) => Err(error),
            },
            Self::Postgres(conn) => match postgres_arguments(values) {
                Ok(arguments) => conn
                    .execute(query_with(text, arguments))
                    .await
                    .map(|done| done.rows_affected()),
                Err(error) => Err(error),
            },
        };
        done.map_err(|error| StoreError::from_sqlx(&error, sql.name(), constraints))
    }

    /// Runs a text made by this crate from names found in the schema (backup, introspection).
    pub(crate) async fn fetch_dynamic(
        &mut self,
        text: String,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let fetched = self.fetch_text(AssertSqlSafe(text), values).await;
        fetched.map_err(|error| {
            StoreError::from_sqlx(&error, "store.dynamic", &Constraints::default())
        })
    }

    /// Runs one or more statements without parameters (migrations, transaction control).
    pub(crate) async fn run_script(
        &mut self,
        text: String,
        name: &'static str,
    ) -> Result<(), StoreError> {
        let script = sqlx::raw_sql(AssertSqlSafe(text));
        let done = match self {
            Self::Sqlite(conn) => conn.execute(script).await.map(|_| ()),
            Self::Postgres(conn) => conn.execute(script).await.map(|_| ()),
        };
        done.map_err(|error| StoreError::from_sqlx(&error, name, &Constraints::default()))
    }

    async fn fetch_text(
        &mut self,
        text: impl sqlx::SqlSafeStr,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        // Rows are always drained: a half-read `… RETURNING` must not be left open in SQLite.
        Ok(match self {
            Self::Sqlite(conn) => {
                let rows = conn
                    .fetch_all(query_with(text, sqlite_arguments(values)?))
                    .await?;
                rows.into_iter()
                    .map(|row| Row(Inner::Sqlite(row)))
                    .collect()
            }
            Self::Postgres(conn) => {
                let rows = conn
                    .fetch_all(query_with(text, postgres_arguments(values)?))
                    .await?;
                rows.into_iter()
                    .map(|row| Row(Inner::Postgres(row)))
                    .collect()
            }
        })
    }

    fn check(&self, sql: Sql, values: &[Value]) -> Result<&'static str, StoreError> {
        // SQLite would take a missing value as NULL.
        let wanted = sql.parameters(self.engine());
        if wanted != values.len() {
            return Err(StoreError::Parameters {
                statement: sql.name(),
                wanted,
                given: values.len(),
            });
        }
        Ok(sql.text(self.engine()))
    }
}
