//! Everything that SQLite and PostgreSQL do not say in the same words.

use crate::{AdminSql, Sql};

/// All statements that differ; there is no other way to make one.
pub(crate) const STATEMENTS: &[Sql] = &[TABLES];
pub(crate) const ADMIN_STATEMENTS: &[AdminSql] = &[CLAIM_JOBS];

/// Takes the next jobs. PostgreSQL must step over rows that another node is just taking; SQLite has
/// one writer, so nobody else can be taking any.
pub(crate) const CLAIM_JOBS: AdminSql = AdminSql(Sql::per_engine(
    "jobs.claim",
    "UPDATE jobs SET attempts = attempts + 1, holder = $1, next_at = $2
     WHERE id IN (SELECT id FROM jobs WHERE state = 'queued' AND next_at <= $3 ORDER BY next_at, id LIMIT $4)
     RETURNING id, env_id, kind, payload, attempts, max_attempts",
    "UPDATE jobs SET attempts = attempts + 1, holder = $1, next_at = $2
     WHERE id IN (SELECT id FROM jobs WHERE state = 'queued' AND next_at <= $3 ORDER BY next_at, id LIMIT $4
                  FOR UPDATE SKIP LOCKED)
     RETURNING id, env_id, kind, payload, attempts, max_attempts",
));

/// Unique indexes with their columns, in the form SQLite shows them when one is violated.
pub(crate) const SQLITE_UNIQUE_INDEXES: &str = "
    SELECT tbl, idx, origin, group_concat(col, ', ') AS columns FROM (
        SELECT t.name AS tbl, i.name AS idx, i.origin AS origin, c.name AS col
        FROM sqlite_schema t, pragma_index_list(t.name) i, pragma_index_info(i.name) c
        WHERE t.type = 'table' AND i.\"unique\" = 1 AND c.name IS NOT NULL ORDER BY i.name, c.seqno)
    GROUP BY tbl, idx, origin";

/// Tables of the database itself.
pub(crate) const TABLES: Sql = Sql::per_engine(
    "schema.tables",
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.tables
     WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name",
);
