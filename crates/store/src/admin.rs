//! System tables and work across environments: first start, authentication, jobs, upkeep.
//!
//! The only place where a statement may leave out `env_id`: it must be an
//! [`AdminSql`](crate::AdminSql), which tenant transactions and readers do not accept.

use crate::{
    AdminSql, Execute, Fetch, Params, Row, StoreError,
    db::Inner,
    read,
    tx::{self, Core, at_most_one},
};
use keystead_types::{EnvironmentId, Id};
use std::sync::Arc;

/// A write transaction over everything. Dropping it rolls back; see [`Tx`](crate::Tx) for failures.
#[must_use = "a dropped transaction is rolled back"]
pub struct Tx(tx::Tx);

impl Tx {
    pub(crate) async fn begin(db: Arc<Inner>) -> Result<Self, StoreError> {
        // No environment has number zero, so a slip would find nothing.
        Ok(Self(tx::Tx::in_environment(
            Core::begin(db).await?,
            EnvironmentId::from_number(0),
        )))
    }

    /// The same transaction, limited to one environment, for the functions of tenant tables.
    pub const fn in_environment(&mut self, env: EnvironmentId) -> &mut tx::Tx {
        self.0.switch(env);
        &mut self.0
    }

    /// See [`Tx::commit`](crate::Tx::commit).
    pub async fn commit(self) -> Result<(), StoreError> {
        self.0.commit().await
    }
}

impl Fetch for Tx {
    type Statement = AdminSql;

    fn fetch_all(
        &mut self,
        sql: impl Into<AdminSql>,
        params: impl Params,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send {
        self.0
            .core()
            .fetch_all(sql.into().sql(), params.into_values())
    }

    fn fetch_optional(
        &mut self,
        sql: impl Into<AdminSql>,
        params: impl Params,
    ) -> impl Future<Output = Result<Option<Row>, StoreError>> + Send {
        let sql = sql.into().sql();
        let rows = self.0.core().fetch_all(sql, params.into_values());
        async move { at_most_one(rows.await?, sql) }
    }
}

impl Execute for Tx {
    fn execute(
        &mut self,
        sql: impl Into<AdminSql>,
        params: impl Params,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send {
        self.0
            .core()
            .execute(sql.into().sql(), params.into_values())
    }
}

/// Reads committed rows of everything; only SELECT is accepted.
pub struct Read<'db>(&'db Inner);

impl<'db> Read<'db> {
    pub(crate) const fn new(db: &'db Inner) -> Self {
        Self(db)
    }
}

impl Fetch for Read<'_> {
    type Statement = AdminSql;

    fn fetch_all(
        &mut self,
        sql: impl Into<AdminSql>,
        params: impl Params,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send {
        read::fetch_all(self.0, sql.into().sql(), params.into_values())
    }

    fn fetch_optional(
        &mut self,
        sql: impl Into<AdminSql>,
        params: impl Params,
    ) -> impl Future<Output = Result<Option<Row>, StoreError>> + Send {
        let sql = sql.into().sql();
        let rows = read::fetch_all(self.0, sql, params.into_values());
        async move { at_most_one(rows.await?, sql) }
    }
}
