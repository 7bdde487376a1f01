use crate::{
    Boxed, Fetch, Params, Query, Row, Sql, StoreError, Value,
    db::{Backend, Inner},
    engine::Conn,
    tx::at_most_one,
};
use keystead_types::EnvironmentId;

/// Reads committed rows of one environment. It cannot write: only SELECT is accepted.
///
/// Every statement sees what was committed when it began; two statements may see different states.
pub struct Read<'db> {
    db: &'db Inner,
    env: EnvironmentId,
}

impl<'db> Read<'db> {
    pub(crate) const fn new(db: &'db Inner, env: EnvironmentId) -> Self {
        Self { db, env }
    }
}

pub(crate) fn fetch_all(
    db: &Inner,
    sql: Sql,
    values: Vec<Value>,
) -> Boxed<'_, Result<Vec<Row>, StoreError>> {
    Box::pin(async move {
        let constraints = db.constraints();
        let failed = |error: sqlx::Error| StoreError::from_sqlx(&error, sql.name(), &constraints);
        match &db.backend {
            Backend::Sqlite(sqlite) => {
                let mut conn = sqlite.readers.acquire().await.map_err(failed)?;
                select(&mut Conn::Sqlite(&mut conn), sql, values, &constraints).await
            }
            Backend::Postgres(pool) => {
                let mut conn = pool.acquire().await.map_err(failed)?;
                select(&mut Conn::Postgres(&mut conn), sql, values, &constraints).await
            }
        }
    })
}

async fn select(
    conn: &mut Conn<'_>,
    sql: Sql,
    values: Vec<Value>,
    constraints: &crate::engine::Constraints,
) -> Result<Vec<Row>, StoreError> {
    if !sql.is_select(conn.engine()) {
        return Err(StoreError::ReadOnly {
            statement: sql.name(),
        });
    }
    conn.fetch_all(sql, values, constraints).await
}

impl Fetch for Read<'_> {
    type Statement = Sql;

    fn fetch_all(
        &mut self,
        sql: impl Into<Sql>,
        params: impl Params,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send {
        fetch_all(self.db, sql.into(), params.into_values())
    }

    fn fetch_optional(
        &mut self,
        sql: impl Into<Sql>,
        params: impl Params,
    ) -> impl Future<Output = Result<Option<Row>, StoreError>> + Send {
        let sql = sql.into();
        let rows = fetch_all(self.db, sql, params.into_values());
        async move { at_most_one(rows.await?, sql) }
    }
}

impl Query for Read<'_> {
    fn env(&self) -> EnvironmentId {
        self.env
    }
}
