//! Everything that SQLite and PostgreSQL do not say in the same words.

use crate::{AdminSql, Sql};

/// All statements that differ; there is no other way to make one.
pub(crate) const STATEMENTS: &[Sql] = &[
    TABLES,
    COLUMNS,
    FOREIGN_KEYS,
    INDEXES,
    INSERT_CALLS,
    TOUCH_ACCOUNTS,
];
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

/// Many rows in one statement, as a JSON array of arrays: the engines name its elements differently.
pub(crate) const INSERT_CALLS: Sql = Sql::per_engine(
    "tool_calls.insert",
    "INSERT INTO tool_calls (env_id, id, execution_id, source, tool_name, provider, connection_id, connection_name,
         account_id, identifier, status, http_status, error_code, duration_micros, started_at)
     SELECT $1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
         value ->> 8, value ->> 9, CAST(value ->> 10 AS BIGINT), value ->> 11, CAST(value ->> 12 AS BIGINT),
         CAST(value ->> 13 AS BIGINT)
     FROM json_each($2)",
    "INSERT INTO tool_calls (env_id, id, execution_id, source, tool_name, provider, connection_id, connection_name,
         account_id, identifier, status, http_status, error_code, duration_micros, started_at)
     SELECT $1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
         value ->> 8, value ->> 9, CAST(value ->> 10 AS BIGINT), value ->> 11, CAST(value ->> 12 AS BIGINT),
         CAST(value ->> 13 AS BIGINT)
     FROM jsonb_array_elements(CAST($2 AS jsonb))",
);

/// When accounts were last used; their ids are a JSON array.
pub(crate) const TOUCH_ACCOUNTS: Sql = Sql::per_engine(
    "connected_accounts.touch",
    "UPDATE connected_accounts SET last_used_at = $3
     WHERE env_id = $1 AND id IN (SELECT value FROM json_each($2)) AND (last_used_at IS NULL OR last_used_at < $3)",
    "UPDATE connected_accounts SET last_used_at = $3
     WHERE env_id = $1 AND id IN (SELECT jsonb_array_elements_text(CAST($2 AS jsonb)))
         AND (last_used_at IS NULL OR last_used_at < $3)",
);

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

/// Columns of all tables in order. `pk` is the place in the primary key, zero when not in it.
pub(crate) const COLUMNS: Sql = Sql::per_engine(
    "schema.columns",
    "SELECT t.name AS tbl, c.name AS col, upper(c.type) AS typ, c.\"notnull\" AS not_null, c.pk AS pk
     FROM sqlite_schema t, pragma_table_info(t.name) c
     WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY t.name, c.cid",
    "SELECT CAST(t.relname AS TEXT) AS tbl, CAST(a.attname AS TEXT) AS col,
         upper(format_type(a.atttypid, a.atttypmod)) AS typ, a.attnotnull AS not_null,
         CAST(coalesce(array_position(CAST(i.indkey AS int2[]), a.attnum) + 1, 0) AS BIGINT) AS pk
     FROM pg_class t
     JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
     LEFT JOIN pg_index i ON i.indrelid = t.oid AND i.indisprimary
     WHERE t.relkind = 'r' AND t.relnamespace = CAST(current_schema() AS regnamespace)
     ORDER BY t.relname, a.attnum",
);

/// Foreign keys. SQLite does not say which are deferred, so the text of the table is searched.
pub(crate) const FOREIGN_KEYS: Sql = Sql::per_engine(
    "schema.foreign_keys",
    "SELECT tbl, ref, columns, ref_columns, on_delete, is_deferrable FROM (
         SELECT t.name AS tbl, f.id AS id, f.\"table\" AS ref, group_concat(f.\"from\", ', ') AS columns,
             group_concat(f.\"to\", ', ') AS ref_columns, f.on_delete AS on_delete,
             upper(t.sql) LIKE '% DEFERR%' AS is_deferrable
         FROM sqlite_schema t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'
         GROUP BY t.name, f.id)
     ORDER BY tbl, ref, columns",
    "SELECT CAST(t.relname AS TEXT) AS tbl, CAST(r.relname AS TEXT) AS ref,
         (SELECT string_agg(a.attname, ', ' ORDER BY k.place) FROM unnest(f.conkey) WITH ORDINALITY k (number, place)
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number) AS columns,
         (SELECT string_agg(a.attname, ', ' ORDER BY k.place) FROM unnest(f.confkey) WITH ORDINALITY k (number, place)
             JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = k.number) AS ref_columns,
         CASE f.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'r' THEN 'RESTRICT'
             WHEN 'd' THEN 'SET DEFAULT' ELSE 'NO ACTION' END AS on_delete,
         f.condeferrable AS is_deferrable
     FROM pg_constraint f JOIN pg_class t ON t.oid = f.conrelid JOIN pg_class r ON r.oid = f.confrelid
     WHERE f.contype = 'f' AND t.relnamespace = CAST(current_schema() AS regnamespace)
     ORDER BY 1, 2, 3",
);

/// Indexes other than primary keys.
pub(crate) const INDEXES: Sql = Sql::per_engine(
    "schema.indexes",
    "SELECT tbl, idx, is_unique, is_partial, group_concat(col, ', ') AS columns FROM (
         SELECT t.name AS tbl, i.name AS idx, i.\"unique\" AS is_unique, i.partial AS is_partial, c.name AS col
         FROM sqlite_schema t, pragma_index_list(t.name) i, pragma_index_info(i.name) c
         WHERE t.type = 'table' AND i.origin <> 'pk' ORDER BY i.name, c.seqno)
     GROUP BY tbl, idx, is_unique, is_partial ORDER BY tbl, idx",
    "SELECT CAST(t.relname AS TEXT) AS tbl, CAST(x.relname AS TEXT) AS idx, i.indisunique AS is_unique,
         i.indpred IS NOT NULL AS is_partial, string_agg(a.attname, ', ' ORDER BY k.place) AS columns
     FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
     CROSS JOIN LATERAL unnest(CAST(i.indkey AS int2[])) WITH ORDINALITY k (number, place)
     LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number
     WHERE NOT i.indisprimary AND t.relnamespace = CAST(current_schema() AS regnamespace)
     GROUP BY t.relname, x.relname, i.indisunique, i.indpred IS NOT NULL ORDER BY t.relname, x.relname",
);
