//! Opening the configured database.

use crate::{config, data_folder};
use anyhow::{Context, Result, bail};
use keystead_store::{DatabaseConfig, Db, Engine, PostgresTransport, Synchronous};
use keystead_types::Secret;
use std::{
    fs::{self, File},
    io::ErrorKind,
    path::PathBuf,
};

/// An open database, and for SQLite the lock that keeps a second server away.
pub(crate) struct Opened {
    pub(crate) db: Db,
    /// The file, when there was none before.
    new: Option<PathBuf>,
    _lock: Option<File>,
}

impl Opened {
    /// Closes it, and removes the file if this process made it.
    pub(crate) async fn discard(self) -> Result<()> {
        self.db.close().await;
        let Some(path) = self.new else { return Ok(()) };
        for end in ["", "-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(end);
            match fs::remove_file(&name) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("remove {}", name.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What the store needs to know.
pub(crate) fn config(settings: &config::Database) -> DatabaseConfig {
    match sqlite_path(&settings.url) {
        Some(path) => DatabaseConfig::Sqlite {
            path,
            synchronous: if settings.relaxed_durability {
                Synchronous::Normal
            } else {
                Synchronous::Full
            },
        },
        None => DatabaseConfig::Postgres {
            url: Secret::new(settings.url.clone()),
            max_connections: settings.max_connections,
        },
    }
}

/// The file of a `sqlite:` URL; `None` for PostgreSQL.
pub(crate) fn sqlite_path(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    Some(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))
}

/// Opens it for a server, or for a command that must not run beside one.
pub(crate) async fn open_alone(config: &DatabaseConfig) -> Result<Opened> {
    let (lock, new) = match config {
        DatabaseConfig::Sqlite { path, .. } => {
            let mut name = path.clone().into_os_string();
            name.push(".lock");
            let lock = data_folder::lock(&PathBuf::from(name))?;
            // Under the lock, so that nobody else makes it in between.
            (Some(lock), (!path.try_exists()?).then(|| path.clone()))
        }
        DatabaseConfig::Postgres { .. } => (None, None),
    };
    let db = open(config).await?;
    Ok(Opened {
        db,
        new,
        _lock: lock,
    })
}

/// Opens it beside a server that may be running.
pub(crate) async fn open(config: &DatabaseConfig) -> Result<Db> {
    Db::open(config).await.context("open the database")
}

/// Brings the tables up to date.
pub(crate) async fn migrate(db: &Db) -> Result<()> {
    db.migrate()
        .await
        .context("bring the database schema up to date")
}

/// Refuses a database that is not at the version of this release.
pub(crate) async fn require_current(db: &Db) -> Result<()> {
    let (applied, latest) = db
        .schema_version()
        .await
        .context("read the schema version")?;
    if applied != latest {
        bail!(
            "the database has schema version {applied}, this release works with {latest}: run `keystead migrate`"
        );
    }
    Ok(())
}

/// Name for people.
pub(crate) fn name(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    }
}

/// How the connection to the database is protected; `None` for a file.
pub(crate) fn transport(url: &str) -> Result<Option<PostgresTransport>> {
    if sqlite_path(url).is_some() {
        return Ok(None);
    }
    Ok(Some(
        PostgresTransport::of(url).context("read database.url")?,
    ))
}

/// The same in words, and what to do where it is weak.
pub(crate) fn transport_text(transport: PostgresTransport) -> &'static str {
    match transport {
        PostgresTransport::Local => "on this machine",
        PostgresTransport::Verified => "encrypted, the server proves its name",
        PostgresTransport::Unverified => {
            "encrypted, but somebody in between could pose as the server: use sslmode=verify-full in database.url, with sslrootcert for an authority of your own"
        }
        PostgresTransport::Open => {
            "perhaps not encrypted, so that everything can be read and changed on the way: use sslmode=verify-full in database.url"
        }
    }
}
