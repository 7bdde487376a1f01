//! Brings the tables to the state this program expects, forward only.

use crate::{
    Db, Engine, Fetch, Sql, StoreError, Value, dialect,
    engine::{Conn, Constraints},
    exclusive::Exclusive,
    sql,
};
use aws_lc_rs::digest::{SHA256, digest};

/// One step, with a text for each engine.
pub(crate) struct Migration {
    pub(crate) version: u32,
    pub(crate) name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// Made by the build script from the folder `migrations`, in order.
pub(crate) const ALL: &[Migration] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

pub(crate) const STATEMENTS: &[Sql] = &[APPLIED, RECORD];

const CREATE: &str = "CREATE TABLE IF NOT EXISTS _migrations (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)";
const APPLIED: Sql = sql!(
    "migrations.applied",
    "SELECT version, name, checksum FROM _migrations ORDER BY version"
);
const RECORD: Sql = sql!(
    "migrations.record",
    "INSERT INTO _migrations (version, name, checksum) VALUES ($1, $2, $3)"
);

impl Migration {
    pub(crate) const fn text(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }

    fn checksum(&self, engine: Engine) -> String {
        hex::encode(digest(&SHA256, self.text(engine).as_bytes()))
    }
}

/// Number of the last migration this program knows.
pub(crate) fn latest() -> u32 {
    ALL.last().map_or(0, |migration| migration.version)
}

/// Number of the last migration of the database; zero when it is empty.
pub(crate) async fn applied(db: &Db) -> Result<u32, StoreError> {
    let mut read = db.read_admin();
    let tables = read.fetch_all(dialect::TABLES, ()).await?;
    for row in tables {
        if row.get::<String>("name")? == "_migrations" {
            let rows = read.fetch_all(APPLIED, ()).await?;
            return rows.last().map_or(Ok(0), |row| row.get("version"));
        }
    }
    Ok(0)
}

/// Applies what is missing, up to `target` when given. All in one transaction.
pub(crate) async fn run(db: &Db, target: Option<u32>) -> Result<(), StoreError> {
    let mut exclusive = Exclusive::begin(db).await?;
    let done = apply(&mut exclusive.conn()?, target.unwrap_or(u32::MAX)).await?;
    exclusive.commit().await?;
    if let crate::db::Backend::Sqlite(sqlite) = &db.inner().backend {
        sqlite.reload_constraints().await?;
    }
    for name in done {
        tracing::info!(migration = name, "applied");
    }
    Ok(())
}

/// Applies what is missing within the transaction of the caller; returns the names.
pub(crate) async fn apply(
    conn: &mut Conn<'_>,
    target: u32,
) -> Result<Vec<&'static str>, StoreError> {
    let (engine, none) = (conn.engine(), Constraints::default());
    conn.run_script(CREATE.to_owned(), "migrations.create")
        .await?;
    let rows = conn.fetch_all(APPLIED, Vec::new(), &none).await?;
    let mut known = ALL.iter();
    for row in &rows {
        let (version, name): (u32, String) = (row.get("version")?, row.get("name")?);
        // In order and without gaps, so anything else means other software or another release.
        let expected = known.next().filter(|expected| expected.version == version);
        let Some(expected) = expected else {
            return Err(StoreError::Migration(format!(
                "the database has {version:04}_{name}, which this release does not know"
            )));
        };
        if row.get::<String>("checksum")? != expected.checksum(engine) {
            return Err(StoreError::Migration(format!(
                "{version:04}_{name} was applied with another content"
            )));
        }
    }
    let mut done = Vec::new();
    for migration in known.take_while(|migration| migration.version <= target) {
        conn.run_script(migration.text(engine).to_owned(), migration.name)
            .await?;
        let values = vec![
            Value::Int(i64::from(migration.version)),
            Value::Text(migration.name.to_owned()),
            Value::Text(migration.checksum(engine)),
        ];
        conn.execute(RECORD, values, &none).await?;
        done.push(migration.name);
    }
    Ok(done)
}
