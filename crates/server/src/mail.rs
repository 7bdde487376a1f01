//! How mail leaves, as configured.

use crate::config;
use anyhow::{Context, Result, bail};
use keystead_net::mail::{
    Mail, MailError, Mailbox, Mailer, SmtpMailer, SmtpSecurity, SmtpSettings,
};
use keystead_types::{Clock, Secret};
use std::sync::Arc;
use url::Url;

/// The configured way.
pub(crate) fn mailer(config: &config::Mail, clock: Arc<dyn Clock>) -> Result<Arc<dyn Mailer>> {
    if let Some(url) = &config.smtp_url {
        let from = config.from.as_deref().unwrap_or_default();
        let Some(settings) = settings(url, from) else {
            bail!("mail.smtp_url is not usable");
        };
        let mailer = SmtpMailer::new(settings).context("set up mail")?;
        return Ok(Arc::new(mailer));
    }
    if let Some(folder) = &config.folder {
        let mailbox = Mailbox::open(clock, folder.clone())
            .with_context(|| format!("use the mail folder {}", folder.display()))?;
        return Ok(Arc::new(mailbox));
    }
    tracing::warn!(
        "no mail is configured: nobody can sign in to the dashboard (set mail.smtp_url)"
    );
    Ok(Arc::new(NoMail))
}

/// Reads `smtps://`, `smtp://` (STARTTLS) or `smtp+plain://`, with user and password percent-encoded.
pub(crate) fn settings(url: &str, from: &str) -> Option<SmtpSettings> {
    let url = Url::parse(url).ok()?;
    let (security, default_port) = match url.scheme() {
        "smtps" => (SmtpSecurity::Tls, 465),
        "smtp" => (SmtpSecurity::StartTls, 587),
        "smtp+plain" => (SmtpSecurity::None, 25),
        _ => return None,
    };
    let decoded = |text: &str| {
        let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
        decoded.ok().map(std::borrow::Cow::into_owned)
    };
    let credentials = match url.password() {
        Some(password) => Some((decoded(url.username())?, Secret::new(decoded(password)?))),
        None => None,
    };
    Some(SmtpSettings {
        host: url.host_str().filter(|host| !host.is_empty())?.to_owned(),
        port: url.port().unwrap_or(default_port),
        security,
        credentials,
        from: from.to_owned(),
        extra_root: None,
    })
}

/// Stands in when no mail is configured.
#[derive(Debug)]
struct NoMail;

impl Mailer for NoMail {
    fn send(&self, _: Mail) -> futures_util::future::BoxFuture<'_, Result<(), MailError>> {
        let source = "no mail server is configured".into();
        Box::pin(async { Err(MailError::Unavailable { source }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_give_security_port_and_credentials() {
        let read = settings("smtps://a%40b:p%2Fw@mail.test", "x@y.test").unwrap();
        assert_eq!(
            (read.host.as_str(), read.port, read.security),
            ("mail.test", 465, SmtpSecurity::Tls)
        );
        let (user, password) = read.credentials.unwrap();
        assert_eq!((user.as_str(), password.expose().as_str()), ("a@b", "p/w"));
        let plain = settings("smtp+plain://localhost:2525", "").unwrap();
        assert_eq!((plain.port, plain.security), (2525, SmtpSecurity::None));
        assert_eq!(
            settings("smtp://h", "").unwrap().security,
            SmtpSecurity::StartTls
        );
        for junk in ["", "mail.test", "http://h", "smtp://"] {
            assert!(settings(junk, "").is_none(), "{junk}");
        }
    }
}
