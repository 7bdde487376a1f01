//! `keystead backup` and `keystead restore`.

use crate::{
    cli::ConfigArgs,
    clock::SystemClock,
    config::{self, Config},
    database, root_key, tell,
};
use anyhow::{Context, Result, bail};
use keystead_store::{Db, backup, installation};
use keystead_types::Clock;
use std::path::Path;

/// Writes a backup of the running installation to a file that does not exist yet, and reads it
/// back.
pub(crate) async fn create(args: &ConfigArgs, to: &Path) -> Result<()> {
    let config = config::load(args.config.as_deref())?;
    if to.exists() {
        bail!("{} exists already: choose another name", to.display());
    }
    let db = database::open(&database::config(&config.database)).await?;
    database::require_current(&db).await?;
    let written = backup::create(&db, to, SystemClock.now()).await?;
    db.close().await;
    let read = backup::verify(to).await.context("read the backup back")?;
    if read != written {
        bail!(
            "{} is not what was written: the disk may be failing",
            to.display()
        );
    }
    let rows: u64 = written.tables.iter().map(|(_, rows)| rows).sum();
    tell::line(format!(
        "{} holds {rows} rows, sha256 {}",
        to.display(),
        written.sha256
    ));
    tell::line("keep the root key with it, in another place: without the key its secrets are lost");
    Ok(())
}

/// Restores a backup into an empty database and checks that the root key belongs to it.
pub(crate) async fn restore(args: &ConfigArgs, from: &Path) -> Result<()> {
    let config = config::load(args.config.as_deref())?;
    let contents = backup::verify(from).await?;
    let opened = database::open_alone(&database::config(&config.database)).await?;
    backup::restore(&opened.db, from).await?;
    database::migrate(&opened.db).await?;
    let fits = root_key_fits(&config, &opened.db).await?;
    opened.db.close().await;
    let rows: u64 = contents.tables.iter().map(|(_, rows)| rows).sum();
    tell::line(format!("restored {rows} rows"));
    if !fits {
        bail!(
            "the data is restored, but the configured root key is not the one it was written under: \
             put the right key in place before starting the server"
        );
    }
    Ok(())
}

async fn root_key_fits(config: &Config, db: &Db) -> Result<bool> {
    let key = root_key::load(&config.root_key)?;
    let row = installation::find(&mut db.read_admin()).await?;
    Ok(row.is_none_or(|row| key.has_fingerprint(&row.root_key_fingerprint)))
}
