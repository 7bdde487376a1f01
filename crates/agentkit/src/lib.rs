//! Connectors, connections, connected accounts, the token vault and the proxy.
//!
//! A developer configures a [`connections::Connection`] to a [`providers::Provider`] once; each of
//! his users gets an [`accounts::Account`] on it, through an authorization link or by the
//! developer's own hand. The [`vault`] keeps the credential sealed, refreshes it exactly once, and
//! the [`proxy`] attaches it to calls. The agent never sees a token unless it asks for it.
//!
//! This crate knows no protobuf and no pages; `api` and `web` convert.

pub mod accounts;
pub mod catalogue;
pub mod connections;
pub mod declared;
mod error;
mod jobs;
pub mod links;
pub mod providers;
pub mod proxy;
mod record;
pub mod settings;
mod template;
pub mod vault;

pub use error::{Error, Result};

use catalogue::Catalogue;
use connections::PlatformApps;
use keystead_identity::Context;
use keystead_net::GuardedClient;
use keystead_types::EnvironmentId;
use links::LinkRate;
use proxy::{CallLog, Limiters, Snapshots};
use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use vault::Flights;

/// Everything AgentKit needs. Cheap to clone.
#[derive(Clone)]
pub struct AgentKit(Arc<Inner>);

struct Inner {
    ctx: Context,
    http: GuardedClient,
    /// Clients of connectors that may reach more than the others, by connector key.
    wider: BTreeMap<String, GuardedClient>,
    catalogue: Catalogue,
    /// Names this process in refresh leases.
    holder: String,
    flights: Flights,
    snapshots: Snapshots,
    limiters: Limiters,
    link_rate: LinkRate,
    calls: CallLog,
    /// OAuth apps of the operator.
    platform_apps: PlatformApps,
    /// Told when work was queued.
    work: tokio::sync::Notify,
    /// What must not be cut off: its result exists nowhere else.
    unfinished: TaskTracker,
    /// Places for revocations under way.
    revocations: Arc<Semaphore>,
}

impl AgentKit {
    /// Puts the parts together. `holder` must differ between processes that share a database, and
    /// between two runs of one process.
    pub fn new(ctx: Context, http: GuardedClient, catalogue: Catalogue, holder: String) -> Self {
        let snapshots = Snapshots::new(&ctx);
        Self(Arc::new(Inner {
            ctx,
            http,
            wider: BTreeMap::new(),
            catalogue,
            holder,
            flights: Flights::default(),
            snapshots,
            limiters: Limiters::default(),
            link_rate: LinkRate::default(),
            calls: CallLog::default(),
            platform_apps: PlatformApps::new(),
            work: tokio::sync::Notify::new(),
            unfinished: TaskTracker::new(),
            revocations: Arc::new(Semaphore::new(links::MAX_REVOCATIONS)),
        }))
    }

    /// Limits the links that are made for one user in a minute; `None` is unlimited. Only before
    /// the first clone.
    #[must_use]
    pub fn with_link_rate(mut self, per_minute: Option<NonZeroU32>) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.link_rate = LinkRate::new(per_minute);
        }
        self
    }

    /// OAuth apps that connections may use instead of their own (AK-107). Only before the first
    /// clone.
    #[must_use]
    pub fn with_platform_apps(mut self, apps: PlatformApps) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.platform_apps = apps;
        }
        self
    }

    /// Clients for connectors that may reach more than the others, by connector key (AK-470). Only
    /// before the first clone.
    #[must_use]
    pub fn with_wider_clients(mut self, clients: BTreeMap<String, GuardedClient>) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.wider = clients;
        }
        self
    }

    /// The connectors built into this server.
    pub fn catalogue(&self) -> &Catalogue {
        &self.0.catalogue
    }

    /// Database, clock, keys.
    pub fn ctx(&self) -> &Context {
        &self.0.ctx
    }

    pub(crate) fn http(&self) -> &GuardedClient {
        &self.0.http
    }

    /// The client for what goes to the provider of a connector.
    ///
    /// SECURITY: each has connections of its own, so what was opened for one connector is never used
    /// for another.
    pub(crate) fn http_of(&self, provider_key: &str) -> &GuardedClient {
        self.0.wider.get(provider_key).unwrap_or(&self.0.http)
    }

    /// Runs `work` to its end, also when the caller hangs up or the process is told to stop: what a
    /// provider issued has to be stored.
    pub(crate) async fn to_the_end<T, E>(
        &self,
        work: impl Future<Output = std::result::Result<T, E>> + Send + 'static,
    ) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<keystead_types::Internal> + Send + 'static,
    {
        let done = self.0.unfinished.spawn(work).await;
        done.map_err(keystead_types::Internal::new)?
    }

    /// Waits for what must not be cut off. To be called before the database is closed, when no more
    /// calls come in.
    pub async fn finish(&self) {
        self.0.unfinished.close();
        self.0.unfinished.wait().await;
    }

    pub(crate) fn revocations(&self) -> &Arc<Semaphore> {
        &self.0.revocations
    }

    pub(crate) fn holder(&self) -> &str {
        &self.0.holder
    }

    pub(crate) fn flights(&self) -> &Flights {
        &self.0.flights
    }

    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.0.snapshots
    }

    pub(crate) fn limiters(&self) -> &Limiters {
        &self.0.limiters
    }

    pub(crate) fn link_rate(&self) -> &LinkRate {
        &self.0.link_rate
    }

    pub(crate) fn calls(&self) -> &CallLog {
        &self.0.calls
    }

    pub(crate) fn work(&self) -> &tokio::sync::Notify {
        &self.0.work
    }

    pub(crate) fn dev_mode(&self) -> bool {
        self.ctx().installation.dev_mode
    }

    /// Drops what is remembered of an environment after a change that may touch many accounts.
    pub(crate) fn forget_all(&self, env: EnvironmentId) {
        self.snapshots().forget_environment(env);
    }
}
