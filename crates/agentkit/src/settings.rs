//! AgentKit settings of an environment.

use crate::{AgentKit, Error, error::Result, record};
use keystead_identity::Actor;
use keystead_store::entities::agentkit;
use keystead_types::{EnvironmentId, Internal};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Settings with their defaults.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Who confirms that the right user consented (AK-320).
    pub verification: Verification,
    /// Used when a link names no `user_verify_url` (AK-324).
    pub default_user_verify_url: String,
    /// Origins and path prefixes that a `user_verify_url` must match; none allows all (AK-325).
    pub allowed_verify_urls: Vec<String>,
    /// Lifetime of links in seconds (AK-302).
    pub link_seconds: u64,
    /// Whether details of providers' errors are wanted (DB-123).
    pub detailed_error_logging: bool,
    /// Whether the proxy calls the providers of built-in connectors (AK-455).
    pub builtin_direct_calls: bool,
}

/// Who confirms that the right user consented.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// The developer's application.
    Custom,
    /// The browser must hold a dashboard session of the workspace.
    PlatformUsers,
    /// Nobody; development environments only (AK-326).
    None,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            verification: Verification::PlatformUsers,
            default_user_verify_url: String::new(),
            allowed_verify_urls: Vec::new(),
            link_seconds: 3600,
            detailed_error_logging: false,
            builtin_direct_calls: true,
        }
    }
}

impl Settings {
    /// Lifetime of links, 60 s to 7 d.
    pub fn link_lifetime(&self) -> Duration {
        Duration::from_secs(self.link_seconds.clamp(60, 7 * 24 * 3600))
    }

    /// Whether a `user_verify_url` is on the list: same origin, path below (AK-325).
    pub fn allows_verify_url(&self, url: &str) -> bool {
        self.allowed_verify_urls.is_empty()
            || self
                .allowed_verify_urls
                .iter()
                .any(|allowed| covers(allowed, url))
    }

    fn parse(stored: Option<serde_json::Value>) -> Result<Self> {
        let settings = stored
            .map(serde_json::from_value)
            .transpose()
            .map_err(Internal::new)?;
        Ok(settings.unwrap_or_default())
    }

    fn check(&self, is_production: bool) -> Result<()> {
        if is_production && self.verification == Verification::None {
            return Err(Error::field(
                "verification",
                "cannot be switched off in a production environment",
            ));
        }
        let default = Some(&self.default_user_verify_url).filter(|url| !url.is_empty());
        for (field, url) in default
            .map(|url| ("default_user_verify_url", url))
            .into_iter()
            .chain(
                self.allowed_verify_urls
                    .iter()
                    .map(|url| ("allowed_user_verify_urls", url)),
            )
        {
            check_verify_url(field, url, is_production)?;
        }
        if self.link_lifetime().as_secs() != self.link_seconds {
            return Err(Error::field(
                "link_lifetime_seconds",
                "must be 60 to 604800",
            ));
        }
        Ok(())
    }
}

/// SECURITY: what the browser carries there decides who is connected, so nobody on the way may read it.
/// Plain http is for the developer's own machine, and for environments that are for trying out (AK-325).
pub(crate) fn check_verify_url(field: &str, url: &str, is_production: bool) -> Result<()> {
    let parsed = url::Url::parse(url).map_err(|_| Error::field(field, "must be a URL"))?;
    let loopback = match parsed.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if is_production && parsed.scheme() != "https" && !loopback {
        return Err(Error::field(
            field,
            "must start with https:// in a production environment",
        ));
    }
    Ok(())
}

fn covers(allowed: &str, url: &str) -> bool {
    let (Ok(allowed), Ok(url)) = (url::Url::parse(allowed), url::Url::parse(url)) else {
        return false;
    };
    let below = url
        .path()
        .strip_prefix(allowed.path().trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    // SECURITY: the application may decode the path before it looks where it leads.
    let path = url.path().to_ascii_lowercase();
    let plain = !path.contains("%2f") && !path.contains("%5c");
    allowed.origin() == url.origin() && below && plain
}

impl AgentKit {
    /// The settings of an environment.
    pub async fn settings(&self, env: EnvironmentId) -> Result<Settings> {
        Settings::parse(agentkit::find_settings(&mut self.ctx().db.read(env)).await?)
    }

    /// Changes the settings of an environment: `change` gets them as they are.
    ///
    /// # Errors
    /// [`Error::Invalid`] for URLs that are none, and for mode `none` outside development (AK-326).
    pub async fn update_settings(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        is_production: bool,
        change: impl FnOnce(&mut Settings) + Send,
    ) -> Result<Settings> {
        let (mut tx, now) = (self.ctx().db.begin(env).await?, self.ctx().clock.now());
        let mut settings = Settings::parse(agentkit::lock_settings(&mut tx, now).await?)?;
        change(&mut settings);
        settings.check(is_production)?;
        let document = serde_json::to_value(&settings).map_err(Internal::new)?;
        agentkit::put_settings(&mut tx, &document, now).await?;
        record::audit(
            &mut tx,
            self.ctx(),
            actor,
            "agentkit_settings.updated",
            &env.to_string(),
        )
        .await?;
        tx.commit().await?;
        self.forget_all(env);
        Ok(settings)
    }

    /// Whether the proxy calls the providers of built-in connectors (AK-455). Remembered like an
    /// account: a warm call reads no row.
    pub(crate) async fn builtin_direct_calls(&self, env: EnvironmentId) -> Result<bool> {
        if let Some(on) = self.snapshots().direct_calls(env) {
            return Ok(on);
        }
        let moment = self.snapshots().moment();
        let on = self.settings(env).await?.builtin_direct_calls;
        self.snapshots().put_direct_calls(moment, env, on);
        Ok(on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Part of AK-325
    #[test]
    fn verification_urls_match_by_origin_and_path_prefix() {
        let settings = Settings {
            allowed_verify_urls: vec!["https://app.example.com/user".to_owned()],
            ..Settings::default()
        };
        for (url, expected) in [
            ("https://app.example.com/user/verify", true),
            ("https://app.example.com/user", true),
            ("https://app.example.com/users", false),
            ("https://app.example.com/user/..%2Fevil", false),
            ("https://app.example.com/user/..%5cevil", false),
            ("https://app.example.com/user/%2e%2e/evil", false),
            ("https://app.example.com.evil.com/user", false),
            ("http://app.example.com/user", false),
            ("https://app.example.com:444/user", false),
        ] {
            assert_eq!(settings.allows_verify_url(url), expected, "{url}");
        }
        assert!(Settings::default().allows_verify_url("https://anything.test"));
    }
}
