//! The admin listener: health and metrics, on a port of its own that stays private (DB-208, DB-209).

use anyhow::{Context as _, Result};
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use keystead_agentkit::AgentKit;
use keystead_identity::Context;
use keystead_store::Db;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::Registry,
};
use serde_json::json;
use std::{fs, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

/// A probe must have its answer before the orchestrator gives up.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// What the endpoints look at.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) ctx: Context,
    pub(crate) registry: Arc<Registry>,
    /// Cancelled as soon as the server begins to stop.
    pub(crate) draining: CancellationToken,
}

/// Serves until `stopped`.
pub(crate) async fn serve(
    listener: TcpListener,
    admin: Admin,
    stopped: CancellationToken,
) -> Result<()> {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(admin);
    axum::serve(listener, router)
        .with_graceful_shutdown(stopped.cancelled_owned())
        .await
        .context("serve the admin listener")
}

async fn ready(State(admin): State<Admin>) -> Response {
    let draining = admin.draining.is_cancelled();
    let checks = timeout(CHECK_TIMEOUT, check(&admin.ctx)).await;
    let (schema, keys) =
        checks.unwrap_or((Err("the database does not answer"), Err("not checked")));
    let is_ready = !draining && schema.is_ok() && keys.is_ok();
    let text = |result: Result<(), &'static str>| result.err().unwrap_or("ok");
    let body = json!({
        "ready": is_ready,
        "draining": draining,
        "database": text(schema),
        "keys": text(keys),
    });
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(body)).into_response()
}

type Check = Result<(), &'static str>;

async fn check(ctx: &Context) -> (Check, Check) {
    let schema = match ctx.db.schema_version().await {
        Ok((applied, latest)) if applied == latest => Ok(()),
        Ok(_) => Err("migrations are not current"),
        Err(error) => {
            tracing::warn!(%error, "not ready: the database cannot be read");
            Err("the database does not answer")
        }
    };
    let keys = match ctx.default_environment().await {
        // Only the keys that seal; token signing keys may not exist yet.
        Ok(Some(env)) => ctx.keyring(env).await.map(drop),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    let keys = keys.map_err(|error| {
        tracing::warn!(%error, "not ready: the keys cannot be loaded");
        "the keys cannot be loaded"
    });
    (schema, keys)
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &admin.registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Registers what is read at the moment of a scrape.
pub(crate) fn register(registry: &mut Registry, db: Db, agentkit: AgentKit) {
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("keystead_build", "The running release", build);
    registry.register_collector(Box::new(Process { db, agentkit }));
}

struct Process {
    db: Db,
    agentkit: AgentKit,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Process")
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counters = self.db.write_counters();
        for (name, help, value) in [
            (
                "keystead_store_transactions",
                "Durable write transactions",
                counters.transactions,
            ),
            (
                "keystead_store_commits",
                "Commits of the engine",
                counters.commits,
            ),
            (
                "keystead_agentkit_calls_not_logged",
                "Calls whose log row was dropped",
                self.agentkit.dropped_calls(),
            ),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                counter.metric_type(),
            )?)?;
        }
        if let Some(bytes) = resident_bytes() {
            let gauge = ConstGauge::new(bytes);
            let (name, help) = ("process_resident_memory_bytes", "Resident memory");
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// From the kernel's `VmRSS`, which is in kilobytes.
fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
