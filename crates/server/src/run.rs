//! The life of a server: listeners, jobs, signals, drain, end.

use crate::{
    admin::{self, Admin},
    background,
    wiring::App,
};
use anyhow::{Context as _, Result};
use keystead_gateway::listener::{Listener, tls::Certificate};
use keystead_identity::upkeep::UpkeepPlan;
use keystead_store::{Engine, nodes::Node};
use prometheus_client::registry::Registry;
use std::{sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// How often the certificate files are looked at.
const CERTIFICATE_PERIOD: Duration = Duration::from_secs(30);

/// A refresh that was sent may be answered (20 s at most) and stored after everything else has ended.
/// A database that stays away longer than the rest of it is not waited for.
const REFRESH_GRACE: Duration = Duration::from_secs(30);

/// A scrape that is under way may end.
const ADMIN_GRACE: Duration = Duration::from_secs(1);

/// Everything that is bound and assembled, ready to serve.
pub(crate) struct Server {
    pub(crate) app: App,
    pub(crate) node: Option<Node>,
    pub(crate) upkeep: UpkeepPlan,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) admin: TcpListener,
    pub(crate) registry: Registry,
    pub(crate) certificate: Option<Arc<Certificate>>,
    /// Longest wait for running requests and jobs at shutdown.
    pub(crate) drain: Duration,
}

/// Signals, listened to from the first moment, so that none is lost.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

enum Received {
    Stop(&'static str),
    Reload,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("listen to signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one that we act on.
    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.terminate.recv() => Received::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Received::Stop("SIGINT"),
            _ = self.hangup.recv() => Received::Reload,
        }
    }

    async fn stop(&mut self) -> &'static str {
        loop {
            if let Received::Stop(name) = self.next().await {
                return name;
            }
        }
    }
}

/// Serves until SIGTERM or SIGINT, then drains. `ready` is called once requests are answered.
pub(crate) async fn until_stopped(server: Server, ready: impl FnOnce()) -> Result<()> {
    let Server {
        app,
        node,
        upkeep,
        listeners,
        admin,
        mut registry,
        certificate,
        drain,
    } = server;
    let mut signals = Signals::listen()?;
    if app.ctx.db.engine() == Engine::Sqlite {
        // One process has the file, so whoever held a lease is gone.
        let freed = app.agentkit.release_leases_of_former_run().await?;
        if freed > 0 {
            tracing::warn!(freed, "the former run was cut off during token refreshes");
        }
    }
    admin::register(&mut registry, app.ctx.db.clone(), app.agentkit.clone());
    let stop = CancellationToken::new();
    let ended = CancellationToken::new();

    let state = Admin {
        ctx: app.ctx.clone(),
        registry: Arc::new(registry),
        draining: stop.clone(),
    };
    let admin = tokio::spawn(admin::serve(admin, state, ended.clone()));
    let mut serving = JoinSet::new();
    for listener in listeners {
        serving.spawn(listener.serve(app.gateway.clone(), stop.clone().cancelled_owned()));
    }
    let jobs = background::start(&app, upkeep, &stop);
    let numbered = node.map(|node| {
        let kept = background::keep_node_number(app.clone(), node, stop.clone(), ended.clone());
        tokio::spawn(kept)
    });
    let calls = tokio::spawn({
        let (agentkit, ended) = (app.agentkit.clone(), ended.clone());
        async move { agentkit.write_calls(ended.cancelled_owned()).await }
    });
    let mut watch = JoinSet::new();
    if let Some(certificate) = certificate.clone() {
        watch.spawn(certificate.watch(CERTIFICATE_PERIOD));
    }
    ready();

    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            received = signals.next() => match received {
                Received::Stop(name) => {
                    // Probes know before anybody who reads the log can ask them.
                    stop.cancel();
                    tracing::info!(signal = name, "stopping");
                    break;
                }
                Received::Reload => reload(certificate.as_deref()).await,
            },
        }
    }
    stop.cancel();
    let drained = async {
        drained(serving, jobs, drain).await;
        // A caller that hung up left its refresh behind: its answer may be the only copy of a new
        // refresh token.
        if timeout(REFRESH_GRACE, app.agentkit.finish()).await.is_err() {
            tracing::warn!("token refreshes were still running, their outcome will be unknown");
        }
    };
    tokio::select! {
        () = drained => {}
        name = signals.stop() => tracing::warn!(signal = name, "stopping at once"),
    }
    ended.cancel();
    if let Err(error) = calls.await {
        tracing::warn!(%error, "the log of calls ended early");
    }
    if let Err(error) = app.authorizer.flush_uses().await {
        tracing::warn!(%error, "times of last use could not be stored");
    }
    let number = match numbered {
        Some(task) => task.await.context("keep the node number")?,
        None => Ok(()),
    };
    if let Ok(served) = timeout(ADMIN_GRACE, admin).await {
        served.context("serve the admin listener")??;
    }
    app.ctx.db.close().await;
    number?;
    tracing::info!("stopped");
    Ok(())
}

/// The listeners bound their own wait; jobs get the same time.
async fn drained(mut serving: JoinSet<()>, mut jobs: JoinSet<()>, drain: Duration) {
    let served = async { while serving.join_next().await.is_some() {} };
    let finished = timeout(drain, async { while jobs.join_next().await.is_some() {} });
    if let ((), Err(_)) = tokio::join!(served, finished) {
        tracing::warn!("background jobs were still running at the end of the drain time");
    }
}

async fn reload(certificate: Option<&Certificate>) {
    let Some(certificate) = certificate else {
        return;
    };
    match certificate.reload().await {
        Ok(true) => tracing::info!("certificate reloaded"),
        Ok(false) => tracing::info!("the certificate has not changed"),
        Err(error) => {
            tracing::warn!(%error, "the certificate was not reloaded, the former one stays in use");
        }
    }
}
