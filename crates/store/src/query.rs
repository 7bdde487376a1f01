use crate::{FromRow, Params, Row, Sql, StoreError};
use keystead_types::EnvironmentId;
use std::{future::Future, pin::Pin};

/// The work of a statement, kept on the heap: the driver's futures are several kilobytes, and each
/// caller's own future would hold and move them although it waits for the database anyway.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Asks questions. Implemented by [`Tx`](crate::Tx), [`Read`](crate::Read) and their
/// [`admin`](crate::admin) counterparts.
pub trait Fetch: Send {
    /// [`Sql`], or [`AdminSql`](crate::AdminSql) where looking across environments is allowed.
    type Statement: From<Sql> + Send;

    /// All rows of the answer. The statement must have a LIMIT unless the answer is small by nature.
    fn fetch_all(
        &mut self,
        sql: impl Into<Self::Statement>,
        params: impl Params,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// The only row of the answer, or `None`.
    ///
    /// # Errors
    /// [`StoreError::RowCount`] when there is more than one.
    fn fetch_optional(
        &mut self,
        sql: impl Into<Self::Statement>,
        params: impl Params,
    ) -> impl Future<Output = Result<Option<Row>, StoreError>> + Send;

    /// As [`Fetch::fetch_all`], converted.
    fn fetch_all_as<T: FromRow + Send>(
        &mut self,
        sql: impl Into<Self::Statement>,
        params: impl Params,
    ) -> impl Future<Output = Result<Vec<T>, StoreError>> + Send {
        let rows = self.fetch_all(sql, params);
        async move { rows.await?.iter().map(T::from_row).collect() }
    }

    /// As [`Fetch::fetch_optional`], converted.
    fn fetch_optional_as<T: FromRow + Send>(
        &mut self,
        sql: impl Into<Self::Statement>,
        params: impl Params,
    ) -> impl Future<Output = Result<Option<T>, StoreError>> + Send {
        let row = self.fetch_optional(sql, params);
        async move { row.await?.as_ref().map(T::from_row).transpose() }
    }
}

/// Asks questions within one environment: [`Tx`](crate::Tx) and [`Read`](crate::Read).
pub trait Query: Fetch {
    /// The environment that every statement must be limited to.
    fn env(&self) -> EnvironmentId;
}

/// Changes things: [`Tx`](crate::Tx) and [`admin::Tx`](crate::admin::Tx).
pub trait Execute: Fetch {
    /// Runs a statement without an answer and tells how many rows it touched.
    fn execute(
        &mut self,
        sql: impl Into<Self::Statement>,
        params: impl Params,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}
