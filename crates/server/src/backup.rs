//! `keystead backup` and `keystead restore`.

use crate::{cli::ConfigArgs, clock::SystemClock, config, database, file_kind, root_key, tell};
use anyhow::{Context, Result, bail};
use keystead_store::backup::{self, BackupError};
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

/// Restores a backup into an empty database. Nothing is made or written before the file is known to
/// be whole and the root key to be the one that its secrets were sealed under.
pub(crate) async fn restore(args: &ConfigArgs, from: &Path) -> Result<()> {
    let config = config::load(args.config.as_deref())?;
    let key = root_key::load(&config.root_key)?;
    if let Err(why) = file_kind::require_regular(from) {
        bail!("the backup {} {why}", from.display());
    }
    let contents = backup::verify(from).await?;
    let fingerprint = backup::root_key_fingerprint(from).await?;
    if fingerprint.is_some_and(|needed| !key.has_fingerprint(&needed)) {
        bail!(
            "nothing was restored, because the configured root key is not the one the backup was written under: \
             put that key in place and restore again"
        );
    }
    let opened = database::open_alone(&database::config(&config.database)).await?;
    match backup::restore(&opened.db, from).await {
        Ok(_) => {}
        // Somebody's data.
        Err(error @ BackupError::NotEmpty) => {
            opened.db.close().await;
            return Err(error.into());
        }
        Err(error) => {
            opened.discard().await?;
            return Err(error.into());
        }
    }
    database::migrate(&opened.db).await?;
    opened.db.close().await;
    let rows: u64 = contents.tables.iter().map(|(_, rows)| rows).sum();
    tell::line(format!("restored {rows} rows"));
    Ok(())
}
