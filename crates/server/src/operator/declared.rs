//! `keystead plan` and `keystead apply`: connectors and connections from a file (AK-122).

use super::{actor, environment, with};
use crate::{cli::DeclaredArgs, config, declared, serve, tell, wiring};
use anyhow::{Context as _, Result};
use keystead_agentkit::{
    AgentKit,
    declared::{Plan, Undeclared},
};
use keystead_crypto::{SystemRng, random_token};
use keystead_identity::Context;
use keystead_net::GuardedClient;
use keystead_types::EnvironmentId;

/// Shows what would change.
pub(crate) async fn plan(args: &DeclaredArgs) -> Result<()> {
    let wanted = declared::read_all(&args.file)?;
    on_environment(args, async |kit, env| {
        let plan = kit.plan(env, &wanted, undeclared(args)).await;
        let plan = plan.map_err(declared::every_field)?;
        show(&plan);
        tell::line(match plan.changes.len() {
            0 => "nothing to change".to_owned(),
            1 => "1 change; `keystead apply` makes it".to_owned(),
            many => format!("{many} changes; `keystead apply` makes them"),
        });
        Ok(())
    })
    .await
}

/// Makes it.
pub(crate) async fn apply(args: &DeclaredArgs) -> Result<()> {
    let wanted = declared::read_all(&args.file)?;
    on_environment(args, async |kit, env| {
        let made = declared::apply(kit, env, &actor(), &wanted, undeclared(args)).await?;
        show(&made);
        tell::line(match made.changes.len() {
            0 => "nothing to change".to_owned(),
            1 => "1 change made".to_owned(),
            many => format!("{many} changes made"),
        });
        Ok(())
    })
    .await
}

fn undeclared(args: &DeclaredArgs) -> Undeclared {
    if args.delete {
        Undeclared::Delete
    } else {
        Undeclared::Keep
    }
}

fn show(plan: &Plan) {
    for change in &plan.changes {
        tell::line(change.to_string());
    }
    for kept in &plan.kept {
        tell::line(format!("  {kept} is not declared and stays"));
    }
}

async fn on_environment(
    args: &DeclaredArgs,
    work: impl AsyncFnOnce(&AgentKit, EnvironmentId) -> Result<()>,
) -> Result<()> {
    let config = config::load(args.scope.config.config.as_deref())?;
    let apps = serve::platform_apps(&config)?;
    let http = GuardedClient::new(serve::outbound(&config)?).context("set up outbound requests")?;
    let catalogue = wiring::catalogue(config.agentkit.connector_packs.as_deref());
    with(&args.scope.config, async |ctx: &Context| {
        let env = environment(ctx, args.scope.environment.as_deref())
            .await?
            .id;
        let holder = random_token(&SystemRng, "tool_", 16).expose().clone();
        let kit = AgentKit::new(ctx.clone(), http, catalogue, holder).with_platform_apps(apps);
        work(&kit, env).await
    })
    .await
}
