//! The configuration: a TOML file, overridden by `KEYSTEAD_` environment variables.

mod agentkit;
mod outbound;
mod read;
mod repair;
mod rules;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    agentkit::AgentKit,
    outbound::Outbound,
    read::{File, in_words, load},
    rules::{Remark, warnings},
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize, Serializer};
use std::{fmt, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

/// Everything an operator can set.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) database: Database,
    pub(crate) root_key: RootKeySource,
    #[serde(default)]
    pub(crate) outbound: Outbound,
    #[serde(default)]
    pub(crate) agentkit: AgentKit,
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
#[derive(Debug, Deserialize, Serialize)]
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
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    /// `sqlite:/path/to/file` or `postgres://…`.
    #[serde(serialize_with = "without_secrets")]
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

/// Query parameters of a database URL that hold no secret; `password` is one that does.
const SHOWN_PARAMETERS: [&str; 2] = ["sslmode", "sslrootcert"];

/// A URL without user and password, wherever they are in it.
pub(crate) fn shown_url(url: &str) -> String {
    let (front, rest) = match url.split_once("://") {
        None => return url.to_owned(),
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, rest)) => (format!("{scheme}://…@"), rest),
            None => (format!("{scheme}://"), rest),
        },
    };
    let Some((place, query)) = rest.split_once('?') else {
        return front + rest;
    };
    let shown = query.split('&').map(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        if SHOWN_PARAMETERS.contains(&name) {
            pair.to_owned()
        } else {
            format!("{name}=…")
        }
    });
    format!("{front}{place}?{}", shown.collect::<Vec<_>>().join("&"))
}

fn without_secrets<S: Serializer>(url: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&shown_url(url))
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn optional_without_secrets<S: Serializer>(url: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
    url.as_deref().map(shown_url).serialize(to)
}

/// Where the root key comes from: exactly one of the three.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RootKeySource {
    /// File with 32 bytes in base64 or hex, readable by the server alone.
    pub(crate) file: Option<PathBuf>,
    /// Name of an environment variable that holds it.
    pub(crate) environment: Option<String>,
    /// Name of a systemd credential (`LoadCredential=`).
    pub(crate) systemd_credential: Option<String>,
}

/// How mail leaves.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mail {
    /// SMTP server: `smtps://user:password@host`, `smtp://…` (STARTTLS) or `smtp+plain://…` (a
    /// relay on this machine). Without it mails are written to `folder`.
    #[serde(serialize_with = "optional_without_secrets")]
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
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
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
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retention {
    /// Events, whether they were handed on or not, and the history of accounts.
    pub(crate) events_days: u32,
    /// The log of calls to providers, and tests of connections.
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
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
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
#[derive(Debug, Default, Deserialize, Serialize)]
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
