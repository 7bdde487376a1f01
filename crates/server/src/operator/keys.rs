//! `keystead keys`: the keys that sign access tokens.

use super::{actor, environment, environments, with};
use crate::{
    cli::{KeysCommand, ScopeArgs},
    tell,
};
use anyhow::{Result, bail};
use keystead_identity::{Context, Rotation, RotationError, SigningKeyInfo};
use keystead_types::EnvironmentId;

/// Runs the command.
pub(crate) async fn run(command: &KeysCommand) -> Result<()> {
    match command {
        KeysCommand::List(args) => list(args).await,
        KeysCommand::Rotate { scope, emergency } => {
            let rotation = if *emergency {
                Rotation::Emergency
            } else {
                Rotation::Orderly
            };
            rotate(scope, rotation).await
        }
    }
}

async fn list(args: &ScopeArgs) -> Result<()> {
    with(&args.config, async |ctx| {
        for (id, name) in environments(ctx, args).await? {
            if let Some(name) = name {
                tell::line(format!("{id} {name}"));
                show(ctx, id).await?;
            }
        }
        Ok(())
    })
    .await
}

async fn show(ctx: &Context, env: EnvironmentId) -> Result<()> {
    let keys = ctx.signing_key_infos(env).await?;
    if keys.is_empty() {
        tell::line("  no keys yet: they are made with the first token");
    }
    for key in keys {
        tell::line(format!("  {}", line(&key)));
    }
    Ok(())
}

fn line(key: &SigningKeyInfo) -> String {
    let status = key.status.as_str();
    let more = match (key.activated_at, key.remove_after) {
        (_, Some(end)) => format!(", published until {end}"),
        (Some(start), None) => format!(", signs since {start}"),
        (None, None) => String::new(),
    };
    format!("{} {status:<8} made {}{more}", key.id, key.created_at)
}

async fn rotate(args: &ScopeArgs, rotation: Rotation) -> Result<()> {
    with(&args.config, async |ctx| {
        let env = environment(ctx, args.environment.as_deref()).await?.id;
        match ctx.rotate_signing_keys(env, &actor(), rotation).await {
            Ok(kid) => tell::line(format!("{kid} signs in {env} within a minute")),
            Err(RotationError::TooSoon(wait)) => bail!(
                "the keys of {env} were not rotated, because clients that read the key set once may not \
                 know the next key yet: try again in {} hours, or use --emergency when a key has leaked",
                wait.as_secs().div_ceil(3600)
            ),
            Err(other) => return Err(other.into()),
        }
        tell::line(match rotation {
            Rotation::Orderly => "tokens of the former key stay valid until they end",
            Rotation::Emergency => {
                "every earlier token is void: restart all nodes now, and programs that read the key set only once"
            }
        });
        Ok(())
    })
    .await
}
