//! `keystead serve`: production, from a configuration file.

use crate::{
    background,
    cli::ConfigArgs,
    clock::SystemClock,
    config::{self, Config},
    database, declared, installation,
    logging::{self, LogFormat},
    mail, private_file, root_key, run, tell,
    wiring::{self, App},
};
use anyhow::{Context as _, Result, bail};
use keystead_agentkit::{
    connections::{PlatformApp, PlatformApps},
    declared::Undeclared,
};
use keystead_gateway::{
    Metrics,
    listener::{Listener, Settings, proxy::TrustedProxies, tls::Certificate},
};
use keystead_identity::{Actor, BaseUrl, FirstStart, environments::EnvironmentKind};
use keystead_net::certificates_from_pem;
use keystead_store::installation as rows;
use prometheus_client::registry::Registry;
use std::{fs, num::NonZeroU32, sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// Serves until stopped.
pub(crate) async fn run(args: &ConfigArgs) -> Result<()> {
    let config = config::load(args.config.as_deref())?;
    private_file::require_closed(args.config.as_deref(), &config)?;
    logging::start(LogFormat::Json);
    for remark in config::warnings(&config) {
        tracing::warn!(
            setting = remark.setting,
            "{} {}",
            remark.setting,
            remark.text
        );
    }
    let root_key = root_key::load(&config.root_key)?;
    let base_url = BaseUrl::parse(&config.server.public_url)?;
    let url = base_url.to_string();
    let prepared = wiring::prepare(
        outbound(&config)?,
        config.outbound.wider_policies()?,
        config.agentkit.connector_packs.clone(),
        None,
    );
    let certificate = certificate(&config).await?;

    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let drain = Duration::from_secs(config.server.drain_seconds);
    let settings = Settings {
        certificate: certificate.clone(),
        drain,
        trusted_proxies: TrustedProxies(config.server.trusted_proxies.clone()),
        max_connections_per_address: NonZeroU32::new(config.server.max_connections_per_address),
        strict_transport_security: base_url.is_https(),
        ..Settings::default()
    };
    let listener = Listener::bind(config.server.listen, settings, metrics.clone())
        .await
        .with_context(|| format!("listen on {}", config.server.listen))?;
    let admin = TcpListener::bind(config.server.admin_listen)
        .await
        .with_context(|| {
            format!(
                "listen on {} for the admin listener",
                config.server.admin_listen
            )
        })?;

    let opened = database::open_alone(&database::config(&config.database)).await?;
    database::migrate(&opened.db).await?;
    let is_empty = rows::find(&mut opened.db.read_admin()).await?.is_none();
    let seed = first_start(&config, is_empty)?;
    let installation =
        installation::open(opened.db.clone(), root_key, base_url, false, seed).await?;
    if let Some(created) = &installation.created {
        tracing::info!(workspace = %created.workspace, member = %created.member.email,
            "first start: sign in to the dashboard with a code sent to this address");
    }
    let upkeep =
        background::upkeep_plan(&installation.holder, config.retention, config.signing_keys);
    let app = wiring::assemble(wiring::Parts {
        ctx: installation.ctx,
        holder: installation.holder,
        prepared: prepared.await??,
        mailer: mail::mailer(&config.mail, Arc::new(SystemClock))?,
        sandbox: None,
        metrics,
        limits: config.limits,
        platform_apps: platform_apps(&config)?,
    })?;
    if let Some(created) = &installation.created {
        let (kit, actor) = (&app.agentkit, Actor::system());
        let prepared = kit.prepare_environment(created.environment.id, &actor);
        // What it begins with can be made by hand.
        if let Err(error) = prepared.await {
            tracing::warn!(%error, "the first connection could not be made");
        }
    }
    apply_declared(&config, &app).await?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"), %url, listen = %listener.local_addr()?,
        admin = %admin.local_addr()?, tls = certificate.is_some(),
        database = database::name(opened.db.engine()), "starting"
    );
    let admin_address = admin.local_addr()?;
    let server = run::Server {
        app,
        node: installation.node,
        upkeep,
        listeners: vec![listener],
        admin,
        registry,
        certificate,
        drain,
    };
    run::until_stopped(server, move || {
        tell::line(format!("admin http://{admin_address}"));
        tell::line(format!("ready {url}"));
    })
    .await
}

/// The certificate from its files; `None` for a plain listener behind a proxy.
pub(crate) async fn certificate(config: &Config) -> Result<Option<Arc<Certificate>>> {
    let (Some(chain), Some(key)) = (&config.server.tls_certificate, &config.server.tls_key) else {
        return Ok(None);
    };
    let certificate = Certificate::load(chain.clone(), key.clone())
        .await
        .context("load the certificate")?;
    Ok(Some(Arc::new(certificate)))
}

/// Connectors and connections that the configuration declares (AK-122).
async fn apply_declared(config: &Config, app: &App) -> Result<()> {
    let Some(path) = &config.agentkit.apply else {
        return Ok(());
    };
    let Some(env) = app.ctx.default_environment().await? else {
        return Ok(());
    };
    let wanted = declared::read_all(path)?;
    let (kit, actor) = (&app.agentkit, Actor::system());
    let made = declared::apply(kit, env, &actor, &wanted, Undeclared::Keep).await;
    let made = made.with_context(|| format!("apply {}", path.display()))?;
    for change in &made.changes {
        // Without the values: free settings may hold what does not belong into a log.
        let change = change.to_string();
        let change = change.lines().next().unwrap_or_default();
        tracing::info!(change, "declared");
    }
    Ok(())
}

/// The OAuth apps of the configuration, with their secrets.
pub(crate) fn platform_apps(config: &Config) -> Result<PlatformApps> {
    let mut apps = PlatformApps::new();
    for app in &config.agentkit.oauth_apps {
        let secret = app.client_secret.read();
        let secret = secret.with_context(|| {
            let providers = app.providers.join(", ");
            format!("the client secret of the OAuth app for {providers}")
        })?;
        let app_of = Arc::new(PlatformApp {
            client_id: app.client_id.clone(),
            client_secret: secret,
        });
        for key in &app.providers {
            apps.insert(key.clone(), Arc::clone(&app_of));
        }
    }
    Ok(apps)
}

fn first_start(config: &Config, is_empty: bool) -> Result<FirstStart> {
    let admin_email = config.seed.admin_email.clone();
    if is_empty && admin_email.is_none() {
        bail!(
            "the database is empty: set seed.admin_email to the address of the first dashboard member"
        );
    }
    Ok(FirstStart {
        workspace_name: config
            .seed
            .workspace_name
            .clone()
            .unwrap_or_else(|| "Workspace".to_owned()),
        admin_email: admin_email.unwrap_or_default(),
        admin_first_name: String::new(),
        admin_last_name: String::new(),
        default_environment: EnvironmentKind::Production,
    })
}

/// What the server may reach.
pub(crate) fn outbound(config: &Config) -> Result<keystead_net::Settings> {
    let outbound = &config.outbound;
    let mut extra_roots = Vec::new();
    for path in &outbound.extra_ca {
        let pem = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        let found = certificates_from_pem(&pem);
        extra_roots.extend(found.with_context(|| format!("read {}", path.display()))?);
    }
    Ok(keystead_net::Settings {
        policy: outbound.policy()?,
        extra_roots,
        egress: outbound.egress()?,
        ..keystead_net::Settings::default()
    })
}
