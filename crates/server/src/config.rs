//! The configuration: a TOML file, overridden by `KEYSTEAD_` environment variables.

use anyhow::{Result, bail};
use figment::{
    Figment,
    providers::{Env, Format, Toml},
};
use ipnet::IpNet;
use keystead_identity::{BaseUrl, MIN_ROTATION_INTERVAL};
use keystead_net::HostPattern;
use serde::Deserialize;
use std::{
    fmt,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

/// Everything an operator can set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) database: Database,
    pub(crate) root_key: RootKeySource,
    #[serde(default)]
    pub(crate) outbound: Outbound,
    #[serde(default)]
    pub(crate) mail: Mail,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) retention: Retention,
    #[serde(default)]
    pub(crate) signing_keys: SigningKeys,
    #[serde(default)]
    pub(crate) seed: Seed,
}

/// Where the server listens and what it is called.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// Public origin, for example `https://auth.example.com`.
    pub(crate) public_url: String,
    /// Address of the main listener.
    #[serde(default = "default_listen")]
    pub(crate) listen: SocketAddr,
    /// Address of the admin listener (health, metrics); keep it private.
    #[serde(default = "default_admin")]
    pub(crate) admin_listen: SocketAddr,
    /// Certificate chain (PEM). Without it the listener is plain, for a proxy in front.
    pub(crate) tls_certificate: Option<PathBuf>,
    /// Private key (PEM).
    pub(crate) tls_key: Option<PathBuf>,
    /// Networks of the proxies in front whose `X-Forwarded-*` headers are believed, as CIDR.
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Connections that one client address may have open (IPv6: a /64); 0 is unlimited. Trusted
    /// proxies are not counted.
    #[serde(default = "default_connections_per_address")]
    pub(crate) max_connections_per_address: u32,
    /// Longest wait for running requests at shutdown, in seconds.
    #[serde(default = "default_drain")]
    pub(crate) drain_seconds: u64,
}

/// The database.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    /// `sqlite:/path/to/file` or `postgres://…`.
    pub(crate) url: String,
    /// Connections per node (PostgreSQL).
    #[serde(default = "default_connections")]
    pub(crate) max_connections: u32,
    /// Give up durability of the last moments for speed (SQLite `synchronous=NORMAL`).
    #[serde(default)]
    pub(crate) relaxed_durability: bool,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("url", &shown_url(&self.url))
            .field("max_connections", &self.max_connections)
            .field("relaxed_durability", &self.relaxed_durability)
            .finish()
    }
}

/// A URL without user and password.
pub(crate) fn shown_url(url: &str) -> String {
    match url
        .split_once("://")
        .and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?)))
    {
        Some((scheme, (_, host))) => format!("{scheme}://…@{host}"),
        None => url.to_owned(),
    }
}

/// Where the root key comes from: exactly one of the three.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RootKeySource {
    /// File with 32 bytes in base64 or hex, readable by the server alone.
    pub(crate) file: Option<PathBuf>,
    /// Name of an environment variable that holds it.
    pub(crate) environment: Option<String>,
    /// Name of a systemd credential (`LoadCredential=`).
    pub(crate) systemd_credential: Option<String>,
}

/// What the server itself may reach.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outbound {
    /// Private networks that connectors may reach, as CIDR.
    #[serde(default)]
    pub(crate) allowed_networks: Vec<IpNet>,
    /// Internal hosts that connectors may reach; `*.` in front stands for all names below.
    #[serde(default)]
    pub(crate) allowed_hosts: Vec<String>,
    /// Further certificate authorities (PEM).
    #[serde(default)]
    pub(crate) extra_ca: Vec<PathBuf>,
}

/// How mail leaves.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mail {
    /// SMTP server: `smtps://user:password@host`, `smtp://…` (STARTTLS) or `smtp+plain://…` (a
    /// relay on this machine). Without it mails are written to `folder`.
    pub(crate) smtp_url: Option<String>,
    /// Sender address.
    pub(crate) from: Option<String>,
    /// Folder for mails when there is no SMTP server.
    pub(crate) folder: Option<PathBuf>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("smtp_url", &self.smtp_url.as_deref().map(shown_url))
            .field("from", &self.from)
            .field("folder", &self.folder)
            .finish()
    }
}

/// What may be done in a minute, on each node; 0 is unlimited (DB-242).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "the names are the settings")]
pub(crate) struct Limits {
    /// Calls of one API client, member or visitor.
    pub(crate) caller_per_minute: u32,
    /// Calls from one address without a credential.
    pub(crate) anonymous_per_minute: u32,
    /// Calls of one environment, all callers together (DB-240).
    pub(crate) environment_per_minute: u32,
    /// Authorization links made for one user.
    pub(crate) links_per_minute: u32,
    /// Links that do not exist, opened from one address.
    pub(crate) invalid_links_per_minute: u32,
    /// Forms sent for one connected account.
    pub(crate) forms_per_minute: u32,
    /// Sign-in codes asked for from one address.
    pub(crate) sign_in_codes_per_minute: u32,
    /// Wrong sign-in codes sent from one address.
    pub(crate) wrong_codes_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            caller_per_minute: 60_000,
            anonymous_per_minute: 600,
            environment_per_minute: 0,
            links_per_minute: 60,
            invalid_links_per_minute: 20,
            forms_per_minute: 10,
            sign_in_codes_per_minute: 20,
            wrong_codes_per_minute: 10,
        }
    }
}

impl Limits {
    /// Those of the API.
    pub(crate) fn of_calls(&self) -> keystead_gateway::Limits {
        keystead_gateway::Limits {
            caller: NonZeroU32::new(self.caller_per_minute),
            anonymous: NonZeroU32::new(self.anonymous_per_minute),
            environment: NonZeroU32::new(self.environment_per_minute),
        }
    }
}

/// How long records are kept, in days; 0 for ever (DB-250).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retention {
    /// Events, whether they were handed on or not.
    pub(crate) events_days: u32,
    /// The log of calls to providers.
    pub(crate) calls_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            events_days: 90,
            calls_days: 90,
        }
    }
}

/// Keys that sign access tokens.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SigningKeys {
    /// Days a key signs before the next one does; 0 for ever (MC-313).
    pub(crate) rotation_days: u32,
}

impl Default for SigningKeys {
    fn default() -> Self {
        Self { rotation_days: 90 }
    }
}

/// A number of days; `None` for zero, which stands for ever.
pub(crate) fn days(count: u32) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    (count > 0).then(|| DAY * count)
}

/// Values of the first start; never applied again (DB-002).
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seed {
    /// E-mail of the first dashboard member.
    pub(crate) admin_email: Option<String>,
    /// Name of the workspace.
    pub(crate) workspace_name: Option<String>,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8443))
}

fn default_admin() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9443))
}

const fn default_connections_per_address() -> u32 {
    1_000
}

const fn default_drain() -> u64 {
    30
}

const fn default_connections() -> u32 {
    16
}

/// Reads the file (when given) and the environment, and checks what can be checked alone.
///
/// Every mistake is reported, not only the first.
pub(crate) fn load(path: Option<&Path>) -> Result<Config> {
    let mut figment = Figment::new();
    if let Some(path) = path {
        if !path.is_file() {
            bail!("the configuration file {} does not exist", path.display());
        }
        figment = figment.merge(Toml::file(path));
    }
    // Other variables of ours have no double underscore.
    let variables = Env::prefixed("KEYSTEAD_")
        .filter(|name| name.as_str().contains("__"))
        .split("__");
    read(&figment.merge(variables))
}

fn read(figment: &Figment) -> Result<Config> {
    let config: Config = match figment.extract() {
        Ok(config) => config,
        Err(error) => {
            let found: Vec<String> = error.into_iter().map(|one| one.to_string()).collect();
            bail!("the configuration is wrong: {}", found.join("; "));
        }
    };
    let problems = problems(&config);
    if problems.is_empty() {
        Ok(config)
    } else {
        bail!("the configuration is wrong: {}", problems.join("; "));
    }
}

fn problems(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |text: &str| found.push(text.to_owned());
    if BaseUrl::parse(&config.server.public_url).is_err() {
        say("server.public_url must be an origin such as https://auth.example.com");
    }
    if config.server.tls_certificate.is_some() != config.server.tls_key.is_some() {
        say("set both server.tls_certificate and server.tls_key, or neither");
    }
    let key = &config.root_key;
    let sources = [
        key.file.is_some(),
        key.environment.is_some(),
        key.systemd_credential.is_some(),
    ];
    if sources.iter().filter(|given| **given).count() != 1 {
        say(
            "set exactly one of root_key.file, root_key.environment and root_key.systemd_credential",
        );
    }
    let schemes = ["sqlite:", "postgres://", "postgresql://"];
    if !schemes
        .iter()
        .any(|scheme| config.database.url.starts_with(scheme))
    {
        say("database.url must start with sqlite: or postgres://");
    }
    if config.database.max_connections == 0 {
        say("database.max_connections must be at least 1");
    }
    if days(config.signing_keys.rotation_days).is_some_and(|every| every < MIN_ROTATION_INTERVAL) {
        say(
            "signing_keys.rotation_days must be at least 7, or 0 for never: clients that read the key set once have to be restarted between two rotations",
        );
    }
    for host in &config.outbound.allowed_hosts {
        if host.parse::<HostPattern>().is_err() {
            say(&format!(
                "outbound.allowed_hosts: `{host}` is not a host name, with or without *. in front"
            ));
        }
    }
    if let Some(url) = &config.mail.smtp_url {
        if crate::mail::settings(url, "").is_none() {
            say("mail.smtp_url must look like smtps://user:password@mail.example.com");
        }
        if config.mail.from.is_none() {
            say("mail.from is needed with mail.smtp_url");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Fallback, SECTIONS};
    use std::collections::BTreeSet;

    fn parse(text: &str) -> Result<Config> {
        read(&Figment::new().merge(Toml::string(text)))
    }

    const GOOD: &str = r#"
        [server]
        public_url = "https://auth.example.com"
        [database]
        url = "sqlite:/var/lib/keystead/keystead.db"
        [root_key]
        file = "/etc/keystead/root.key"
    "#;

    /// Part of DB-201
    #[test]
    fn a_small_file_is_enough() {
        let config = parse(GOOD).unwrap();
        assert_eq!(config.server.drain_seconds, 30);
    }

    #[test]
    fn mistakes_are_named() {
        for (from, to, part) in [
            ("https://auth.example.com", "auth.example.com", "public_url"),
            ("sqlite:", "mysql:", "database.url"),
            ("file =", "fil =", "fil"),
            (
                "[database]",
                "[signing_keys]\nrotation_days = 6\n[database]",
                "rotation_days",
            ),
            ("file = \"/etc/keystead/root.key\"", "", "exactly one"),
        ] {
            let error = parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(format!("{error:#}").contains(part), "{error:#}");
        }
    }

    /// The names that a table takes, as the reader itself knows them.
    fn names(table: &str) -> BTreeSet<&'static str> {
        let header = format!("[{table}]");
        let more = format!("{header}\nno_such_setting = 1\n");
        let text = if GOOD.contains(&header) {
            GOOD.replace(&header, &more)
        } else {
            format!("{GOOD}\n{more}")
        };
        let figment = Figment::new().merge(Toml::string(&text));
        let error = figment.extract::<Config>().unwrap_err();
        let Some(figment::error::Kind::UnknownField(_, known)) =
            error.into_iter().map(|one| one.kind).next()
        else {
            panic!("[{table}] takes anything")
        };
        known.iter().copied().collect()
    }

    /// The reference of the settings is complete, and true about what holds when one is not set.
    #[test]
    fn the_reference_names_every_setting_and_its_default() {
        let sections: BTreeSet<&str> = SECTIONS.iter().map(|section| section.name).collect();
        let known = names("no_such_table");
        assert_eq!(sections, known);
        let mut text = GOOD.to_owned();
        for section in SECTIONS {
            let settings = section.settings.iter().map(|setting| setting.name);
            assert_eq!(
                settings.collect::<BTreeSet<_>>(),
                names(section.name),
                "{}",
                section.name
            );
            let mut lines = vec![format!("[{}]", section.name)];
            for setting in section.settings {
                if let Fallback::Value(value) = setting.default {
                    lines.push(format!("{} = {value}\n", setting.name));
                }
            }
            let lines = lines.join("\n");
            let header = format!("[{}]", section.name);
            text = if text.contains(&header) {
                text.replace(&header, &lines)
            } else {
                format!("{text}\n{lines}")
            };
        }
        let (spelt_out, short) = (parse(&text).unwrap(), parse(GOOD).unwrap());
        assert_eq!(format!("{spelt_out:?}"), format!("{short:?}"));
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let text = GOOD
            .replace("https://auth", "auth")
            .replace("sqlite:", "mysql:");
        let error = parse(&text).unwrap_err().to_string();
        assert!(
            error.contains("public_url") && error.contains("database.url"),
            "{error}"
        );
    }

    #[test]
    fn no_password_is_shown() {
        let text = GOOD.replace(
            "sqlite:/var/lib/keystead/keystead.db",
            "postgres://u:hunter2@h:5432/d",
        ) + "[mail]\nsmtp_url = \"smtps://u:hunter2@mail.test\"\nfrom = \"a@b.test\"";
        let shown = format!("{:?}", parse(&text).unwrap());
        assert!(
            shown.contains("postgres://…@h:5432/d") && shown.contains("smtps://…@mail.test"),
            "{shown}"
        );
        assert!(!shown.contains("hunter2"));
    }
}
