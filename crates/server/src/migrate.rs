//! `keystead migrate`.

use crate::{cli::ConfigArgs, config, database, tell};
use anyhow::Result;

/// Brings the schema up to date and says from where to where.
pub(crate) async fn run(args: &ConfigArgs) -> Result<()> {
    let config = config::load(args.config.as_deref())?;
    let opened = database::open_alone(&database::config(&config.database)).await?;
    let (before, _) = opened.db.schema_version().await?;
    database::migrate(&opened.db).await?;
    let (after, _) = opened.db.schema_version().await?;
    opened.db.close().await;
    tell::line(if before == after {
        format!("schema version {after}: nothing to do")
    } else {
        format!("schema version {before} -> {after}")
    });
    Ok(())
}
