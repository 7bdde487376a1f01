//! How many rows a list has, kept in the transaction that adds or removes one.

use crate::{Execute, Query, Sql, StoreError, Tx, sql};

const ADD: Sql = sql!(
    "counters.add",
    "INSERT INTO counters (env_id, name, lane, value) VALUES ($1, $2, $3, $4)
     ON CONFLICT (env_id, name, lane) DO UPDATE SET value = counters.value + excluded.value"
);
const GET: Sql = sql!(
    "counters.get",
    "SELECT CAST(sum(value) AS BIGINT) AS value FROM counters WHERE env_id = $1 AND name = $2"
);

pub(crate) const STATEMENTS: &[Sql] = &[ADD, GET];

/// Adds `change` to a counter. Do it last in the transaction: writers share its lanes.
pub async fn add(tx: &mut Tx, name: &'static str, change: i64) -> Result<(), StoreError> {
    let params = (tx.env(), name, tx.lane(), change);
    tx.execute(ADD, params).await?;
    Ok(())
}

/// The value of a counter; zero when nothing was ever counted.
pub async fn get(db: &mut impl Query, name: &'static str) -> Result<u64, StoreError> {
    let env = db.env();
    let row = db.fetch_optional(GET, (env, name)).await?;
    let value: Option<i64> = row.map_or(Ok(None), |row| row.get("value"))?;
    Ok(u64::try_from(value.unwrap_or(0)).unwrap_or(0))
}
