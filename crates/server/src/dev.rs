//! `keystead dev`: everything on one machine.

use crate::{
    background,
    certificate::{self, LocalCertificate},
    cli::DevArgs,
    clock::SystemClock,
    config::{Limits, Retention, SigningKeys},
    data_folder::DataFolder,
    database, env_file, installation,
    logging::{self, LogFormat},
    root_key, run, sandbox_connector, tell, wiring,
};
use anyhow::{Context as _, Result, bail};
use keystead_agentkit::connections::PlatformApps;
use keystead_gateway::{
    Metrics,
    listener::{Listener, Settings, tls::Certificate},
};
use keystead_identity::{
    Actor, BaseUrl, Context, Created, FirstStart, clients, environments::EnvironmentKind,
};
use keystead_net::{Policy, certificates_from_pem, mail::Mailbox};
use keystead_store::{DatabaseConfig, Synchronous};
use keystead_types::Secret;
use prometheus_client::registry::Registry;
use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;

/// Address of the first member; its mail goes to the sandbox's mailbox.
const MEMBER: &str = "dev@keystead.test";
/// A developer does not wait long for Ctrl-C.
const DRAIN: Duration = Duration::from_secs(5);
const POSTGRES_CONNECTIONS: u32 = 16;
const CLIENT_ID: &str = "SCALEKIT_CLIENT_ID";
const CLIENT_SECRET: &str = "SCALEKIT_CLIENT_SECRET";

/// Makes what is missing in the data folder and serves until stopped.
pub(crate) async fn run(args: DevArgs) -> Result<()> {
    logging::start(LogFormat::Text);
    if args.fresh && args.database.is_some() {
        bail!(
            "--fresh deletes the data folder, not a PostgreSQL database: make a new database and a new folder instead"
        );
    }
    let folder = DataFolder::open(&args.data, args.fresh)?;
    let database = database_config(&folder, args.database);
    let root_key = {
        let path = folder.join("root.key");
        if matches!(&database, DatabaseConfig::Sqlite { path: file, .. } if file.exists())
            && !path.exists()
        {
            bail!(
                "{} is missing, and without it the data cannot be read: put it back, or start anew with --fresh",
                path.display()
            );
        }
        root_key::load_or_create(&path)?
    };
    let tls = certificate::ensure(&folder.join("tls"))?;
    let certificate = Certificate::load(tls.chain.clone(), tls.key.clone()).await?;
    let certificate = Arc::new(certificate);

    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let settings = Settings {
        certificate: Some(certificate.clone()),
        drain: DRAIN,
        // Everybody here comes from one address.
        max_connections_per_address: None,
        ..Settings::default()
    };
    let (listeners, port) = bind(args.port, &settings, &metrics).await?;
    let admin = TcpListener::bind((Ipv4Addr::LOCALHOST, args.admin_port))
        .await
        .with_context(|| format!("listen on port {} for the admin listener", args.admin_port))?;
    let admin_port = admin.local_addr()?.port();
    let base_url = BaseUrl::parse(&format!("https://localhost:{port}"))?;
    let url = base_url.to_string();

    let prepared = wiring::prepare(
        outbound(&tls)?,
        BTreeMap::new(),
        None,
        Some(sandbox_connector::provider(&url)?),
    );
    let opened = database::open_alone(&database).await?;
    let installation =
        installation::open(opened.db.clone(), root_key, base_url, true, first_start()).await?;
    write_env(
        &folder.join("dev.env"),
        &url,
        &tls,
        &installation.ctx,
        installation.created.as_ref(),
    )
    .await?;

    let mailbox =
        Mailbox::open(Arc::new(SystemClock), folder.join("mailbox")).context("open the mailbox")?;
    let upkeep = background::upkeep_plan(
        &installation.holder,
        Retention::default(),
        SigningKeys::default(),
    );
    let app = wiring::assemble(wiring::Parts {
        ctx: installation.ctx,
        holder: installation.holder,
        prepared: prepared.await??,
        mailer: Arc::new(mailbox.clone()),
        sandbox: Some((mailbox, folder.join("sandbox.json"))),
        metrics,
        limits: Limits::default(),
        platform_apps: PlatformApps::new(),
    })?;
    let server = run::Server {
        app,
        node: installation.node,
        upkeep,
        listeners,
        admin,
        registry,
        certificate: Some(certificate),
        drain: DRAIN,
    };
    let env_file = folder.join("dev.env");
    run::until_stopped(server, move || welcome(&url, admin_port, &env_file)).await
}

fn welcome(url: &str, admin_port: u16, env_file: &Path) {
    tell::line(format!("Keystead {}", env!("CARGO_PKG_VERSION")));
    tell::line(format!("dashboard {url}/dashboard sign in as {MEMBER}"));
    tell::line(format!("mailbox {url}/sandbox/mailbox"));
    tell::line(format!("sandbox {url}/sandbox/"));
    tell::line(format!("admin http://127.0.0.1:{admin_port}"));
    tell::line(format!("settings set -a; . {}; set +a", env_file.display()));
    tell::line(format!("ready {url}"));
}

fn database_config(folder: &DataFolder, url: Option<String>) -> DatabaseConfig {
    match url {
        Some(url) => DatabaseConfig::Postgres {
            url: Secret::new(url),
            max_connections: POSTGRES_CONNECTIONS,
        },
        None => DatabaseConfig::Sqlite {
            path: folder.join("keystead.db"),
            synchronous: Synchronous::Full,
        },
    }
}

fn first_start() -> FirstStart {
    FirstStart {
        workspace_name: "My application".to_owned(),
        admin_email: MEMBER.to_owned(),
        admin_first_name: "Dev".to_owned(),
        admin_last_name: "Keystead".to_owned(),
        default_environment: EnvironmentKind::Development,
    }
}

/// The sandbox is on loopback, behind the local authority.
fn outbound(tls: &LocalCertificate) -> Result<keystead_net::Settings> {
    let authority = fs::read(&tls.ca).context("read the local authority")?;
    Ok(keystead_net::Settings {
        policy: Policy::development(),
        extra_roots: certificates_from_pem(&authority)?,
        ..keystead_net::Settings::default()
    })
}

/// Binds both loopback addresses, because `localhost` may mean either.
async fn bind(port: u16, settings: &Settings, metrics: &Metrics) -> Result<(Vec<Listener>, u16)> {
    const TRIES: u32 = 8;
    let mut tries = 0;
    loop {
        let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let first = Listener::bind(v4, settings.clone(), metrics.clone())
            .await
            .with_context(|| {
                format!("listen on port {port}: is another server running? --port chooses another")
            })?;
        let bound = first.local_addr()?.port();
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, bound));
        match Listener::bind(v6, settings.clone(), metrics.clone()).await {
            Ok(second) => return Ok((vec![first, second], bound)),
            // A free port is only free on the first address; take another.
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && port == 0 && tries < TRIES =>
            {
                tries += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(error).with_context(|| format!("listen on port {bound} of ::1"));
            }
            // A machine without IPv6.
            Err(_) => return Ok((vec![first], bound)),
        }
    }
}

/// Writes `dev.env`. The secret comes from the first start or from the file itself; the database
/// has only its hash.
async fn write_env(
    path: &Path,
    url: &str,
    tls: &LocalCertificate,
    ctx: &Context,
    created: Option<&Created>,
) -> Result<()> {
    let (id, secret) = match created {
        Some(created) => (created.client.to_string(), created.secret.plain.clone()),
        None => client(ctx, env_file::read(path)).await?,
    };
    let bundle = tls.bundle.display().to_string();
    let authority = tls.ca.display().to_string();
    env_file::write(
        path,
        &[
            ("SCALEKIT_ENVIRONMENT_URL", url),
            ("SCALEKIT_ENV_URL", url),
            (CLIENT_ID, &id),
            (CLIENT_SECRET, secret.expose()),
            ("SSL_CERT_FILE", &bundle),
            ("REQUESTS_CA_BUNDLE", &bundle),
            ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", &bundle),
            ("NODE_EXTRA_CA_CERTS", &authority),
        ],
    )
}

/// The API client of the default environment with the secret in `known`, or with a new one when
/// the file was lost or belongs to other data.
async fn client(
    ctx: &Context,
    mut known: HashMap<String, String>,
) -> Result<(String, Secret<String>)> {
    let env = ctx.default_environment().await?;
    let env = env.context("the installation has no default environment")?;
    let id = clients::environment_client(ctx, env).await?;
    let is_ours = known
        .get(CLIENT_ID)
        .is_some_and(|text| *text == id.to_string());
    if let Some(secret) = known.remove(CLIENT_SECRET).filter(|_| is_ours) {
        return Ok((id.to_string(), Secret::new(secret)));
    }
    let actor = Actor::system();
    let issued = match clients::create_secret(ctx, env, &actor, id).await {
        Err(clients::Error::SecretLimit) => {
            let client = clients::get(&mut ctx.db.read(env), id).await?;
            let oldest = client
                .secrets
                .first()
                .context("the API client has no secret")?;
            clients::delete_secret(ctx, env, &actor, id, oldest.id).await?;
            clients::create_secret(ctx, env, &actor, id).await?
        }
        issued => issued?,
    };
    tracing::warn!("dev.env did not hold the API client's secret, so there is a new one");
    Ok((id.to_string(), issued.plain))
}
