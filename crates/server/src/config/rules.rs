//! What settings must keep, beyond their types, and what deserves a warning.

use super::{Config, days};
use keystead_identity::{BaseUrl, MIN_ROTATION_INTERVAL, members};
use keystead_net::{HostPattern, mail::SmtpSecurity};
use std::{fmt, net::IpAddr};

/// Something about a setting: its name as in the file, and what follows the name in a sentence.
#[derive(Debug)]
pub(crate) struct Remark {
    pub(crate) setting: &'static str,
    pub(crate) text: String,
}

pub(super) fn remark(setting: &'static str, text: impl Into<String>) -> Remark {
    Remark {
        setting,
        text: text.into(),
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.setting, self.text)
    }
}

impl std::error::Error for Remark {}

/// Rules that are broken: nothing starts.
pub(super) fn broken(config: &Config) -> Vec<Remark> {
    let mut found = of_server(config);
    let mut say = |setting, text: &str| found.push(remark(setting, text));
    let key = &config.root_key;
    let sources = [
        key.file.is_some(),
        key.environment.is_some(),
        key.systemd_credential.is_some(),
    ];
    if sources.iter().filter(|given| **given).count() != 1 {
        say(
            "root_key",
            "needs exactly one of root_key.file, root_key.environment and root_key.systemd_credential",
        );
    }
    let schemes = ["sqlite:", "postgres://", "postgresql://"];
    if !schemes
        .iter()
        .any(|scheme| config.database.url.starts_with(scheme))
    {
        say("database.url", "must start with sqlite: or postgres://");
    } else if crate::database::transport(&config.database.url).is_err() {
        say("database.url", "is not a PostgreSQL URL");
    }
    if config.database.max_connections == 0 {
        say("database.max_connections", "must be at least 1");
    }
    if days(config.signing_keys.rotation_days).is_some_and(|every| every < MIN_ROTATION_INTERVAL) {
        say(
            "signing_keys.rotation_days",
            "must be at least 7, or 0 for never: clients that read the key set once have to be restarted between two rotations",
        );
    }
    for host in &config.outbound.allowed_hosts {
        if host.parse::<HostPattern>().is_err() {
            let text =
                format!("has {host:?}, which is not a host name, with or without *. in front");
            say("outbound.allowed_hosts", &text);
        }
    }
    if let Some(url) = &config.mail.smtp_url {
        if crate::mail::settings(url, "").is_none() {
            say(
                "mail.smtp_url",
                "must look like smtps://user:password@mail.example.com",
            );
        }
        if config.mail.from.is_none() {
            say("mail.from", "is needed with mail.smtp_url");
        }
    }
    let admin = &config.seed.admin_email;
    if admin
        .as_deref()
        .is_some_and(|email| members::email_key(email).is_err())
    {
        say("seed.admin_email", "must be an e-mail address");
    }
    found.extend(config.outbound.broken());
    found.extend(config.agentkit.broken());
    found
}

fn of_server(config: &Config) -> Vec<Remark> {
    let (server, mut found) = (&config.server, Vec::new());
    let mut say = |setting, text: &str| found.push(remark(setting, text));
    match BaseUrl::parse(&server.public_url) {
        Err(_) => say(
            "server.public_url",
            "must be an origin such as https://auth.example.com",
        ),
        // SECURITY: bearers, secrets and session cookies would cross the network readable.
        Ok(url) if !url.is_https() && !is_loopback(url.host()) => say(
            "server.public_url",
            "must begin with https://, because tokens and sign-ins over http can be read on the way; http is only for localhost",
        ),
        Ok(_) => {}
    }
    match (&server.tls_certificate, &server.tls_key) {
        (Some(_), None) => say("server.tls_key", "is needed with server.tls_certificate"),
        (None, Some(_)) => say("server.tls_certificate", "is needed with server.tls_key"),
        _ => {}
    }
    if server.admin_listen == server.listen && server.listen.port() != 0 {
        say("server.admin_listen", "must differ from server.listen");
    }
    // SECURITY: with everybody trusted, a header decides whose limits a caller uses up.
    if server
        .trusted_proxies
        .iter()
        .any(|net| net.prefix_len() == 0)
    {
        say(
            "server.trusted_proxies",
            "must not name all addresses, because anybody could then pretend to have any address; name the network of your proxies",
        );
    }
    found
}

/// What is allowed and may not be meant.
pub(crate) fn warnings(config: &Config) -> Vec<Remark> {
    let (server, mut found) = (&config.server, Vec::new());
    let mut say = |setting, text: &str| found.push(remark(setting, text));
    if server.admin_listen.ip().is_unspecified() {
        say(
            "server.admin_listen",
            "is on all addresses, and it answers without a credential: keep other machines away with a firewall or network policy, or listen on one private address",
        );
    }
    if server.tls_certificate.is_none() && server.listen.ip().is_unspecified() {
        say(
            "server.listen",
            "is on all addresses without TLS: let only the proxy in front reach it, or set server.tls_certificate",
        );
    }
    if config
        .outbound
        .allowed_networks
        .iter()
        .any(|net| net.prefix_len() == 0)
    {
        say(
            "outbound.allowed_networks",
            "names all addresses, so connectors may reach everything in your network: name the networks they need",
        );
    }
    let smtp = config.mail.smtp_url.as_deref();
    if let Some(mail) = smtp.and_then(|url| crate::mail::settings(url, ""))
        && mail.security == SmtpSecurity::None
        && !is_loopback(&mail.host)
    {
        say(
            "mail.smtp_url",
            "sends sign-in codes unencrypted to another machine: use smtps:// or smtp://",
        );
    }
    found
}

/// A host that never leaves this machine (RFC 6761 section 6.3 for the names).
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_address = address
        .parse::<IpAddr>()
        .is_ok_and(|address| address.to_canonical().is_loopback());
    is_address || host == "localhost" || host.ends_with(".localhost")
}
