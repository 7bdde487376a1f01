//! SQLite and PostgreSQL from one SQL text.
//!
//! [`Db`] is opened once. A [`Tx`] writes in one environment, a [`Read`] only reads there;
//! [`admin`] is for system tables and work across environments. No other crate contains SQL, and
//! this one decides nothing: it has no clock, no random numbers and no rules of the domain.
//!
//! # An entity module
//!
//! One file `entities/<entity>.rs` holds the row, its statements and the functions that run them:
//!
//! ```
//! use keystead_store::{Execute, Fetch, FromRow, OnUnique, Query, Row, Sql, StoreError, Tx, sql};
//! use keystead_types::{OrganizationId, Timestamp};
//!
//! pub struct Organization { pub id: OrganizationId, pub display_name: String }
//!
//! const INSERT: Sql = sql!("organizations.insert",
//!     "INSERT INTO organizations (env_id, id, display_name, created_at) VALUES ($1, $2, $3, $4)");
//! const FIND: Sql = sql!("organizations.find",
//!     "SELECT id, display_name FROM organizations WHERE env_id = $1 AND id = $2");
//! const RENAME: Sql = sql!("organizations.rename",
//!     "UPDATE organizations SET display_name = $3 WHERE env_id = $1 AND id = $2 RETURNING id, display_name");
//! const NEXT: Sql = sql!("organizations.next",
//!     "SELECT id, display_name, created_at FROM organizations
//!      WHERE env_id = $1 AND (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $4");
//!
//! /// Every statement of this file; `entities/mod.rs` lists it.
//! pub(crate) const STATEMENTS: &[Sql] = &[INSERT, FIND, RENAME, NEXT];
//!
//! impl FromRow for Organization {
//!     fn from_row(row: &Row) -> Result<Self, StoreError> {
//!         Ok(Self { id: row.get("id")?, display_name: row.get("display_name")? })
//!     }
//! }
//!
//! pub async fn insert(tx: &mut Tx, id: OrganizationId, name: &str, at: Timestamp) -> Result<(), StoreError> {
//!     tx.execute(INSERT, (tx.env(), id, name, at)).await?; // .on_unique("organizations_slug", |_| …)
//!     Ok(())
//! }
//!
//! /// Readers take `Tx` and `Read` alike.
//! pub async fn find(from: &mut impl Query, id: OrganizationId) -> Result<Option<Organization>, StoreError> {
//!     from.fetch_optional_as(FIND, (from.env(), id)).await
//! }
//!
//! /// One conditional statement, never a SELECT and then an UPDATE.
//! pub async fn rename(tx: &mut Tx, id: OrganizationId, name: &str) -> Result<Option<Organization>, StoreError> {
//!     tx.fetch_optional_as(RENAME, (tx.env(), id, name)).await
//! }
//! ```
//!
//! Lists use [`Window`]: `Window::open(&request, &cursor_key, scope)?`, then
//! `fetch_all_as(window.choose(NEXT, PREVIOUS), (env, window.key(i64::MAX), window.id::<OrganizationId>(), window.limit()))`,
//! then `window.finish(rows, total, |row| (SortKey::Int(row.created_at.as_micros()), row.id.number()))`.
//!
//! To add one: the file, one line each in `entities/mod.rs` (`pub mod`, `STATEMENTS`), and two
//! migration files of the same name `NNNN_what.sql` in `migrations/sqlite` and
//! `migrations/postgres`; the build script finds them. A published migration is never edited.
//!
//! # Rules that tests check
//!
//! - Every statement can be prepared on both engines. PostgreSQL must be able to tell the type of
//!   each parameter: write `CAST($2 AS TEXT) IS NULL`, and `CAST(sum(x) AS BIGINT)`.
//! - A statement that names a table with an `env_id` column names `env_id`, unless it is made by
//!   [`admin_sql!`], which only [`admin`] accepts.
//! - Both migrations give the same tables, columns, keys and indexes. Column types are `TEXT`,
//!   `BIGINT`, `BOOLEAN`, `BLOB`/`BYTEA`. Constraints are never deferred: with group commit the
//!   failure of one transaction would undo others. Unique keys are named indexes.
//!
//! A failed statement ends its transaction on both engines. See [`Tx`].

#![forbid(unsafe_code)]

pub mod admin;
pub mod backup;
mod db;
mod dialect;
mod engine;
pub mod entities;
mod error;
mod exclusive;
mod migrations;
mod page;
mod query;
mod read;
mod row;
mod schema;
mod sql;
mod tx;
mod value;

pub use db::{DatabaseConfig, Db, GroupLimits, Synchronous, WriteCounters};
pub use engine::{Engine, postgres::PostgresTransport};
pub use entities::*;
pub use error::{OnUnique, StoreError};
pub use page::{Cursor, Direction, SortKey, Window};
pub(crate) use query::Boxed;
pub use query::{Execute, Fetch, Query};
pub use read::Read;
pub use row::{FromRow, FromValue, Raw, Row};
pub use sql::{AdminSql, Sql};
pub use tx::Tx;
pub use value::{Kind, Params, ToValue, Value};

/// All registered statements, and whether only [`admin`] accepts them.
pub fn statements() -> Vec<(Sql, bool)> {
    let everywhere = entities::STATEMENTS
        .iter()
        .chain(&[dialect::STATEMENTS, migrations::STATEMENTS]);
    let admin = entities::ADMIN_STATEMENTS
        .iter()
        .chain(&[dialect::ADMIN_STATEMENTS])
        .copied()
        .flatten();
    everywhere
        .copied()
        .flatten()
        .map(|sql| (*sql, false))
        .chain(admin.map(|sql| (sql.sql(), true)))
        .collect()
}
