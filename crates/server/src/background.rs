//! What runs beside requests: token refresh, housekeeping, the node's heartbeat.

use crate::{
    config::{Retention, SigningKeys, days},
    installation::{NODE_LIFETIME, release},
    wiring::App,
};
use keystead_authz::SESSION_IDLE;
use keystead_identity::upkeep::{self, UpkeepPlan};
use keystead_store::nodes::{self, Node};
use keystead_types::Internal;
use std::time::Duration;
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

const REFRESH_PERIOD: Duration = Duration::from_secs(30);
/// Nodes that started together must not ask together.
const REFRESH_JITTER: Duration = Duration::from_secs(5);
/// Accounts refreshed before the next look at the clock and at the shutdown.
const REFRESH_BATCH: u32 = 16;
/// Grants that nobody verified, and trips that nobody finished, ended in one round.
const LAPSE_BATCH: u32 = 256;
/// Jobs of this process start at once; this is for those that another one left behind.
const WORK_PERIOD: Duration = Duration::from_secs(10);
const FLUSH_PERIOD: Duration = Duration::from_secs(30);
const RESTART_PAUSE: Duration = Duration::from_secs(1);
const UPKEEP_PERIOD: Duration = Duration::from_secs(5 * 60);

/// Starts all jobs. They end soon after `stop`; a refresh that has begun is finished first, because
/// its answer may be the only copy of a new refresh token.
pub(crate) fn start(app: &App, plan: UpkeepPlan, stop: &CancellationToken) -> JoinSet<()> {
    let mut jobs = JoinSet::new();
    let (on, until) = (app.clone(), stop.clone());
    jobs.spawn(kept_going("refresh", stop.clone(), move || {
        refresh(on.clone(), until.clone())
    }));
    let (on, until) = (app.clone(), stop.clone());
    jobs.spawn(kept_going("flush", stop.clone(), move || {
        flush(on.clone(), until.clone())
    }));
    let (on, until) = (app.clone(), stop.clone());
    jobs.spawn(kept_going("jobs", stop.clone(), move || {
        work_off(on.clone(), until.clone())
    }));
    let (on, until) = (app.clone(), stop.clone());
    jobs.spawn(kept_going("upkeep", stop.clone(), move || {
        keep_up(on.clone(), plan.clone(), until.clone())
    }));
    jobs
}

/// A job that panics is started again: nobody would notice that it is gone.
async fn kept_going<F>(name: &'static str, stop: CancellationToken, job: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    while let Err(error) = tokio::spawn(job()).await {
        tracing::error!(name, %error, "a background job broke off and starts again");
        if !pause(&stop, RESTART_PAUSE).await {
            return;
        }
    }
}

/// Housekeeping as the configuration wants it; `holder` names this run of this process.
pub(crate) fn upkeep_plan(holder: &str, retention: Retention, keys: SigningKeys) -> UpkeepPlan {
    UpkeepPlan {
        holder: holder.to_owned(),
        session_idle: SESSION_IDLE,
        events: days(retention.events_days),
        calls: days(retention.calls_days),
        rotation: days(keys.rotation_days),
    }
}

/// Waits; `false` when it is time to stop.
async fn pause(stop: &CancellationToken, duration: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = sleep(duration) => true,
    }
}

async fn refresh(app: App, stop: CancellationToken) {
    while pause(&stop, REFRESH_PERIOD + jitter(&app)).await {
        if let Err(error) = app.agentkit.lapse_pending(LAPSE_BATCH).await {
            tracing::warn!(%error, "grants that were not verified could not be ended");
        }
        if let Err(error) = app.agentkit.lapse_flows(LAPSE_BATCH).await {
            tracing::warn!(%error, "trips that were not finished could not be ended");
        }
        loop {
            match app.agentkit.refresh_due(REFRESH_BATCH).await {
                Ok(seen) if seen >= REFRESH_BATCH as usize && !stop.is_cancelled() => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "tokens could not be refreshed in the background");
                    break;
                }
            }
        }
    }
}

fn jitter(app: &App) -> Duration {
    let mut byte = [0];
    app.ctx.rng.fill(&mut byte);
    REFRESH_JITTER * u32::from(byte[0]) / 256
}

async fn flush(app: App, stop: CancellationToken) {
    while pause(&stop, FLUSH_PERIOD).await {
        if let Err(error) = app.authorizer.flush_uses().await {
            tracing::warn!(%error, "times of last use could not be stored");
        }
    }
}

async fn work_off(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match app.agentkit.work_off().await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::warn!(%error, "queued work could not be done"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.agentkit.work_wanted() => {}
            () = sleep(WORK_PERIOD + jitter(&app)) => {}
        }
    }
}

async fn keep_up(app: App, plan: UpkeepPlan, stop: CancellationToken) {
    while pause(&stop, UPKEEP_PERIOD + jitter(&app)).await {
        match upkeep::run(&app.ctx, &plan, &|| stop.is_cancelled()).await {
            Ok(Some(done)) if done.removed > 0 => {
                tracing::info!(rows = done.removed, "expired rows removed");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "housekeeping was cut short"),
        }
    }
}

/// Keeps the node number until `ended`, when nothing makes ids any more, and gives it back.
///
/// # Errors
/// When the number was lost; `stop` is then cancelled, because another process may have the number
/// and make the same ids.
pub(crate) async fn keep_node_number(
    app: App,
    node: Node,
    stop: CancellationToken,
    ended: CancellationToken,
) -> anyhow::Result<()> {
    let mut kept_until = tokio::time::Instant::now() + NODE_LIFETIME;
    while pause(&ended, NODE_LIFETIME / 3).await {
        let began = tokio::time::Instant::now();
        let is_kept = match beat(&app, &node).await {
            Ok(is_kept) => {
                kept_until = began + NODE_LIFETIME;
                is_kept
            }
            Err(error) => {
                tracing::warn!(%error, "the node number could not be renewed");
                began < kept_until
            }
        };
        if !is_kept {
            stop.cancel();
            anyhow::bail!("the node number {} was lost", node.number);
        }
    }
    if let Err(error) = release(&app.ctx.db, &*app.ctx.clock, &node).await {
        tracing::warn!(%error, "the node number could not be given back");
    }
    Ok(())
}

async fn beat(app: &App, node: &Node) -> Result<bool, Internal> {
    let now = app.ctx.clock.now();
    let mut tx = app.ctx.db.begin_admin().await.map_err(Internal::new)?;
    let kept = nodes::heartbeat(&mut tx, node, now, now.plus(NODE_LIFETIME))
        .await
        .map_err(Internal::new)?;
    tx.commit().await.map_err(Internal::new)?;
    Ok(kept)
}
