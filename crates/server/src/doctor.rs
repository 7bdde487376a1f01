//! `keystead doctor`: looks at what an installation stands on and says what to do.

use crate::{
    cli::ConfigArgs,
    clock::SystemClock,
    config::{self, Config},
    database, mail, private_file, root_key, serve, tell,
};
use keystead_crypto::RootKey;
use keystead_identity::BaseUrl;
use keystead_store::{Db, PostgresTransport, installation};
use keystead_types::{Clock, Timestamp};
use std::{fs, path::Path, process::ExitCode, time::Duration};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use x509_parser::pem::Pem;

const NETWORK_TIMEOUT: Duration = Duration::from_secs(5);
/// A certificate that ends sooner should have been replaced by now.
const RENEWAL: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// No machine with a working clock is before 2025-01-01.
const EARLIEST: Timestamp = Timestamp::from_secs(1_735_689_600);

/// What a check found. Texts for [`Finding::Warning`] and [`Finding::Broken`] say what to do.
#[derive(Debug)]
enum Finding {
    Good(String),
    Warning(String),
    Broken(String),
}

use Finding::{Broken, Good, Warning};

/// Prints one line for each check; fails when anything is broken.
pub(crate) async fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let mut report = Report { is_broken: false };
    match config::load(args.config.as_deref()) {
        Ok(config) => {
            let open = args.config.as_deref();
            let open = open.and_then(private_file::of_configuration);
            let complete = Good("complete".to_owned());
            report.add("configuration", open.map_or(complete, Broken));
            for remark in config::warnings(&config) {
                let text = format!("{} {}", remark.setting, remark.text);
                report.add("configuration", Warning(text));
            }
            check(&config, &mut report).await;
        }
        Err(error) => {
            // One check is one line.
            let text = format!("{error:#}").replace("\n  ", " ");
            report.add("configuration", Broken(text));
        }
    }
    Ok(if report.is_broken {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

struct Report {
    is_broken: bool,
}

impl Report {
    fn add(&mut self, name: &str, finding: Finding) {
        let (word, text) = match finding {
            Good(text) => ("ok", text),
            Warning(text) => ("warning", text),
            Broken(text) => {
                self.is_broken = true;
                ("broken", text)
            }
        };
        tell::line(format!("{word:<8} {name}: {text}"));
    }
}

async fn check(config: &Config, report: &mut Report) {
    report.add("clock", clock());
    let key = root_key::load(&config.root_key);
    report.add("root key", root_key_finding(config, key.as_ref()));
    if let Some(finding) = transport(config) {
        report.add("database connection", finding);
    }
    match database::open(&database::config(&config.database)).await {
        Ok(db) => {
            report.add("database", Good(database::name(db.engine()).to_owned()));
            report.add("schema", schema(&db).await);
            report.add("data", data(&db, key.as_ref().ok()).await);
            db.close().await;
        }
        Err(error) => report.add(
            "database",
            Broken(format!(
                "{error:#}; check database.url and that the server is running"
            )),
        ),
    }
    report.add("certificate", certificate(config).await);
    report.add("public address", public_address(config).await);
    report.add("mail", mail(config).await);
    report.add("outbound", outbound(config));
}

fn clock() -> Finding {
    if SystemClock.now() < EARLIEST {
        Broken(
            "the clock is years behind: tokens would be refused everywhere; set up NTP".to_owned(),
        )
    } else {
        Good("plausible".to_owned())
    }
}

fn root_key_finding(config: &Config, key: Result<&RootKey, &anyhow::Error>) -> Finding {
    if let Err(error) = key {
        return Broken(format!("{error:#}"));
    }
    let readable = Good("readable; keep a copy outside this machine".to_owned());
    private_file::of_root_key(config).map_or(readable, Broken)
}

/// `None` for a file.
fn transport(config: &Config) -> Option<Finding> {
    match database::transport(&config.database.url) {
        Ok(found) => found.map(|found| {
            let text = database::transport_text(found).to_owned();
            match found {
                PostgresTransport::Local | PostgresTransport::Verified => Good(text),
                PostgresTransport::Unverified | PostgresTransport::Open => Warning(text),
            }
        }),
        Err(error) => Some(Broken(format!("{error:#}"))),
    }
}

async fn schema(db: &Db) -> Finding {
    match db.schema_version().await {
        Ok((applied, latest)) if applied == latest => Good(format!("version {applied}")),
        Ok((applied, latest)) if applied < latest => Warning(format!(
            "version {applied}, this release brings it to {latest} at the next start, or `keystead migrate` does"
        )),
        Ok((applied, latest)) => Broken(format!(
            "version {applied} is newer than this release ({latest}): install the later release"
        )),
        Err(error) => Broken(error.to_string()),
    }
}

async fn data(db: &Db, key: Option<&RootKey>) -> Finding {
    if matches!(db.schema_version().await, Ok((0, _))) {
        return Good("empty, filled at the first start".to_owned());
    }
    match installation::find(&mut db.read_admin()).await {
        Ok(None) => Good("empty, filled at the first start".to_owned()),
        Ok(Some(row)) => match key {
            Some(key) if key.has_fingerprint(&row.root_key_fingerprint) => {
                Good("the root key fits".to_owned())
            }
            Some(_) => Broken(
                "the data was written under another root key: put that key in place".to_owned(),
            ),
            None => Warning("not compared with the root key".to_owned()),
        },
        Err(error) => Broken(error.to_string()),
    }
}

async fn certificate(config: &Config) -> Finding {
    match serve::certificate(config).await {
        Err(error) => return Broken(format!("{error:#}")),
        Ok(None) => {
            return Warning(
                "none: a proxy in front must end TLS, and only it may reach this port".to_owned(),
            );
        }
        Ok(Some(_)) => {}
    }
    let path = config
        .server
        .tls_certificate
        .as_deref()
        .unwrap_or(Path::new(""));
    let Some(end) = expiry(path) else {
        return Broken(format!("{} holds no certificate", path.display()));
    };
    let now = SystemClock.now();
    if end <= now {
        Broken("expired: replace it, the server takes the new one without a restart".to_owned())
    } else if end <= now.plus(RENEWAL) {
        Warning(format!(
            "expires in {} days: replace it",
            end.since(now).as_secs() / 86_400
        ))
    } else {
        Good(format!(
            "valid for {} days",
            end.since(now).as_secs() / 86_400
        ))
    }
}

/// End of the first certificate of the chain, which is the server's own.
fn expiry(path: &Path) -> Option<Timestamp> {
    let pem = fs::read(path).ok()?;
    let first = Pem::iter_from_buffer(&pem).next()?.ok()?;
    let end = first.parse_x509().ok()?.validity().not_after.timestamp();
    Some(Timestamp::from_secs(end))
}

async fn public_address(config: &Config) -> Finding {
    let Ok(url) = BaseUrl::parse(&config.server.public_url) else {
        return Broken("server.public_url is not an origin".to_owned());
    };
    if !url.is_https() {
        return Good("on this machine only".to_owned());
    }
    match timeout(NETWORK_TIMEOUT, lookup_host((url.host(), 443))).await {
        Ok(Ok(_)) => Good(format!("{} has an address", url.host())),
        _ => Warning(format!(
            "{} has no address in DNS: add a record",
            url.host()
        )),
    }
}

async fn mail(config: &Config) -> Finding {
    let Some(url) = &config.mail.smtp_url else {
        return match &config.mail.folder {
            Some(folder) => Warning(format!(
                "written to {} and not sent: sign-in codes are found there",
                folder.display()
            )),
            None => Warning(
                "not configured, so nobody can sign in to the dashboard: set mail.smtp_url"
                    .to_owned(),
            ),
        };
    };
    let Some(settings) = mail::settings(url, "") else {
        return Broken("mail.smtp_url is not usable".to_owned());
    };
    let target = (settings.host.as_str(), settings.port);
    match timeout(NETWORK_TIMEOUT, TcpStream::connect(target)).await {
        Ok(Ok(_)) => Good(format!("{}:{} answers", settings.host, settings.port)),
        Ok(Err(error)) => Broken(format!("{}:{}: {error}", settings.host, settings.port)),
        Err(_) => Broken(format!(
            "{}:{} does not answer: check the firewall",
            settings.host, settings.port
        )),
    }
}

fn outbound(config: &Config) -> Finding {
    match serve::outbound(config) {
        Ok(_) => Good("usable".to_owned()),
        Err(error) => Broken(format!("{error:#}")),
    }
}
