//! `keystead audit verify`: whether anybody changed the audit trail.

use super::{environments, with};
use crate::{cli::ScopeArgs, tell};
use anyhow::Result;
use keystead_events::{ChainFault, VerifyError};
use std::process::ExitCode;

/// Walks the chains and names the first record that is wrong in each environment.
pub(crate) async fn verify(args: &ScopeArgs) -> Result<ExitCode> {
    let is_whole = with(&args.config, async |ctx| {
        let mut is_whole = true;
        for (id, name) in environments(ctx, args).await? {
            let name = name.unwrap_or_else(|| "deleted".to_owned());
            match keystead_events::verify(&mut ctx.db.read(id)).await {
                Ok(found) => tell::line(format!(
                    "ok     {id} {name}: {} records, anchor {}",
                    found.records,
                    hex::encode(found.anchor)
                )),
                Err(VerifyError::Store(error)) => return Err(error.into()),
                Err(VerifyError::Broken {
                    lane,
                    sequence,
                    fault,
                }) => {
                    is_whole = false;
                    let what = words(lane, sequence, fault);
                    tell::line(format!("broken {id} {name}: {what}"));
                }
            }
        }
        Ok(is_whole)
    })
    .await?;
    if is_whole {
        tell::line("keep the anchors elsewhere: they show whether whole chains were replaced");
        return Ok(ExitCode::SUCCESS);
    }
    tell::line(
        "the audit trail was changed: compare it with a backup, and find out who can write to the database",
    );
    Ok(ExitCode::FAILURE)
}

fn words(lane: u32, sequence: i64, fault: ChainFault) -> String {
    let what = match fault {
        ChainFault::Missing => "is missing",
        ChainFault::Unlinked => "does not follow the one before it",
        ChainFault::Changed => "was changed",
        ChainFault::WrongEnd => "is not the end that was noted",
        ChainFault::Stray => return "there are records beyond the end of their chain".to_owned(),
    };
    format!("record {sequence} of chain {lane} {what}")
}
