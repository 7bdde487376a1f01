//! Puts the parts of the product together.

use crate::{
    adapters::{ConnectLimits, HostedConnect, LoginLimits, MemberLogin},
    config::Limits,
    packs, routes,
};
use anyhow::{Context as _, Result};
use keystead_agentkit::{
    AgentKit, catalogue::Catalogue, connections::PlatformApps, providers::Provider,
};
use keystead_authz::Authorizer;
use keystead_crypto::SystemRng;
use keystead_gateway::{Endpoints, Gateway, Metrics, Pipeline, Wiring, validate::ContractRules};
use keystead_identity::Context;
use keystead_net::{
    GuardedClient, Policy, Settings as Outbound, SetupError,
    mail::{Mailbox, Mailer},
};
use keystead_types::Rng;
use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::JoinHandle;

/// What an installation is made of.
pub(crate) struct Parts {
    pub(crate) ctx: Context,
    /// Names this run of this process.
    pub(crate) holder: String,
    pub(crate) prepared: Prepared,
    pub(crate) mailer: Arc<dyn Mailer>,
    /// The mailbox the sandbox shows and the file its provider keeps grants in; `None` for no sandbox.
    pub(crate) sandbox: Option<(Mailbox, PathBuf)>,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
    /// OAuth apps of the operator.
    pub(crate) platform_apps: PlatformApps,
}

/// What takes time to make and needs no database.
pub(crate) struct Prepared {
    http: GuardedClient,
    wider: BTreeMap<String, GuardedClient>,
    catalogue: Catalogue,
    rules: ContractRules,
}

/// Makes it on other threads, while the database is opened on this one.
pub(crate) fn prepare(
    outbound: Outbound,
    wider: BTreeMap<String, Policy>,
    packs: Option<PathBuf>,
    more: Option<Provider>,
) -> JoinHandle<Result<Prepared>> {
    // The first random number costs tens of milliseconds: the library measures timing noise.
    tokio::task::spawn_blocking(|| SystemRng.fill(&mut [0]));
    tokio::task::spawn_blocking(move || {
        let embedded = catalogue(packs.as_deref());
        let http = GuardedClient::new(outbound).context("set up outbound requests")?;
        Ok(Prepared {
            rules: ContractRules::load().context("read the contract")?,
            catalogue: match more {
                Some(provider) => embedded.with(provider),
                None => embedded,
            },
            wider: clients(&http, wider).context("set up outbound requests")?,
            http,
        })
    })
}

fn clients(
    http: &GuardedClient,
    wider: BTreeMap<String, Policy>,
) -> Result<BTreeMap<String, GuardedClient>, SetupError> {
    let made = wider
        .into_iter()
        .map(|(key, policy)| Ok((key, http.with_policy(policy)?)));
    made.collect()
}

/// The built-in connectors, and those of a folder over them.
pub(crate) fn catalogue(packs: Option<&Path>) -> Catalogue {
    let mut catalogue = Catalogue::embedded();
    if let Some(folder) = packs {
        let loaded = packs::load(&mut catalogue, folder);
        for pack in &loaded.left_out {
            tracing::error!(folder = %folder.display(), pack, "connector pack left out");
        }
        tracing::info!(folder = %folder.display(), connectors = ?loaded.taken, "connector packs read");
    }
    catalogue
}

/// The assembled product.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) ctx: Context,
    pub(crate) authorizer: Authorizer,
    pub(crate) agentkit: AgentKit,
    pub(crate) gateway: Gateway,
}

/// Context → domain handles → services → pipeline → pages → gateway.
pub(crate) fn assemble(parts: Parts) -> Result<App> {
    let Parts {
        ctx,
        holder,
        prepared,
        mailer,
        sandbox,
        metrics,
        limits,
        platform_apps,
    } = parts;
    let authorizer = Authorizer::new(ctx.clone());
    let Prepared {
        http,
        wider,
        catalogue,
        rules,
    } = prepared;
    let agentkit = AgentKit::new(ctx.clone(), http, catalogue, holder)
        .with_link_rate(NonZeroU32::new(limits.links_per_minute))
        .with_platform_apps(platform_apps)
        .with_wider_clients(wider);

    let services = keystead_api::routes(keystead_api::App {
        ctx: ctx.clone(),
        authorizer: authorizer.clone(),
        agentkit: agentkit.clone(),
    });
    let authenticate = Arc::new(authorizer.clone());
    let wiring = Wiring::with_rules(authenticate, ctx.rng.clone(), services, rules);
    let pipeline = Pipeline::new(Wiring {
        metrics,
        limits: limits.of_calls(),
        ..wiring
    })
    .context("read the contract")?;

    let pages = keystead_web::router(&keystead_web::Deps {
        connect: Arc::new(HostedConnect {
            agentkit: agentkit.clone(),
            authorizer: authorizer.clone(),
            limits: ConnectLimits::new(&limits),
        }),
        login: Arc::new(MemberLogin {
            authorizer: authorizer.clone(),
            mailer,
            limits: LoginLimits::new(&limits),
        }),
        services: pipeline.services(),
        hasher: ctx.keys.hasher.clone(),
        rng: ctx.rng.clone(),
    });
    let pages = match sandbox {
        Some((mailbox, file)) => pages.merge(keystead_sandbox::router(keystead_sandbox::Config {
            clock: ctx.clock.clone(),
            rng: ctx.rng.clone(),
            mailbox,
            clients: Vec::new(),
            file: Some(file),
        })),
        None => pages,
    };
    let endpoints = Endpoints::new(Arc::new(authorizer.clone()), agentkit.clone());
    let gateway = Gateway::new(pipeline, routes::fallback(endpoints, pages))
        .context("read the contract's HTTP bindings")?;
    Ok(App {
        ctx,
        authorizer,
        agentkit,
        gateway,
    })
}
