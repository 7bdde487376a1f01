//! How many rows a list has, kept in the transaction that adds or removes one.

use crate::{Execute, Query, Sql, StoreError, Tx, sql};

const ADD: Sql = sql!(
    "counters.add",
    "INSERT INTO counters (env_id, name, value) VALUES ($1, $2, $3)
     ON CONFLICT (env_id, name) DO UPDATE SET value = counters.value + excluded.value"
);
const GET: Sql = sql!(
    "counters.get",
    "SELECT value FROM counters WHERE env_id = $1 AND name = $2"
);

pub(crate) const STATEMENTS: &[Sql] = &[ADD, GET];

/// Adds `change` to a counter. Do it last in the transaction: the row is shared by all writers.
pub async fn add(tx: &mut Tx, name: &'static str, change: i64) -> Result<(), StoreError> {
    let params = (tx.env(), name, change);
    tx.execute(ADD, params).await?;
    Ok(())
}

/// The value of a counter; zero when nothing was ever counted.
pub async fn get(db: &mut impl Query, name: &'static str) -> Result<u64, StoreError> {
    let env = db.env();
    let row = db.fetch_optional(GET, (env, name)).await?;
    let value: i64 = row.map_or(Ok(0), |row| row.get("value"))?;
    Ok(u64::try_from(value).unwrap_or(0))
}
