//! A connection: how one environment uses a provider (AK-100..AK-125).

use crate::{
    providers::{AuthKind, AuthPattern},
    vault::GrantClient,
};
use keystead_types::{ConnectionId, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt, time::Duration};
use zeroize::Zeroize;

/// A connection with its settings and (opened) secrets.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Id.
    pub id: ConnectionId,
    /// Name in code, unique in the environment (AK-101).
    pub key_id: String,
    /// Connector.
    pub provider_key: String,
    /// How accounts authenticate.
    pub kind: AuthKind,
    /// How far it is configured.
    pub status: ConnectionStatus,
    /// Whether it may be used (AK-121).
    pub enabled: bool,
    /// Whose credential is used (AK-120).
    pub auth_mode: AuthMode,
    /// What is not secret.
    pub settings: ConnectionSettings,
    /// What is.
    pub secrets: ConnectionSecrets,
    /// Grows with every change.
    pub revision: i64,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// How far a connection is configured (1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConnectionStatus {
    /// Something it needs is missing.
    Draft,
    /// A test runs.
    InProgress,
    /// Ready.
    Completed,
}

/// Whose credential acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuthMode {
    /// Each user's own.
    #[default]
    User,
    /// One for the organization (AK-240).
    OrgWide,
}

macro_rules! stored_names {
    ($name:ident { $($variant:ident = $text:literal),* }) => {
        impl $name {
            /// The stored name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Reads the stored name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
pub(crate) use stored_names;

stored_names!(ConnectionStatus { Draft = "DRAFT", InProgress = "IN_PROGRESS", Completed = "COMPLETED" });
stored_names!(AuthMode { User = "USER", OrgWide = "ORG_WIDE" });

/// Settings that are not secret (AK-105, AK-110..AK-113). `None` falls back to the connector.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectionSettings {
    /// Authorization endpoint.
    pub authorize_uri: Option<String>,
    /// Token endpoint.
    pub token_uri: Option<String>,
    /// User info endpoint.
    pub user_info_uri: Option<String>,
    /// OAuth client id.
    pub client_id: Option<String>,
    /// Scopes to ask for.
    pub scopes: Vec<String>,
    /// PKCE S256.
    pub pkce_enabled: Option<bool>,
    /// `prompt` of the authorization request.
    pub prompt: Option<String>,
    /// `access_type` of the authorization request.
    pub access_type: Option<String>,
    /// `token_access_type` of the authorization request.
    pub token_access_type: Option<String>,
    /// Tenant for Entra endpoints.
    pub tenant_id: Option<String>,
    /// Query parameter that carries the scopes.
    pub custom_scope_name: Option<String>,
    /// Second bucket of scopes and the parameter that carries it.
    pub optional_scopes: Option<OptionalScopes>,
    /// Further parameters of the authorization request.
    pub extra_authorize_params: BTreeMap<String, String>,
    /// Client authentication at the token endpoint (AK-227).
    pub token_endpoint_auth_method: Option<String>,
    /// Name shown at consent (Trello).
    pub app_name: Option<String>,
    /// Users may choose scopes (AK-110).
    pub scope_selection_allowed: bool,
    /// Scopes that a choice always includes.
    pub required_scopes: Vec<String>,
    /// Optional scopes that a choice always includes.
    pub required_optional_scopes: Vec<String>,
    /// SMART on FHIR launch (AK-124).
    pub smart: Option<SmartSettings>,
    /// Google domain-wide delegation (AK-125).
    pub google_dwd: Option<GoogleDwdSettings>,
    /// Free settings of a static connection (`static_config`).
    pub static_config: Map<String, Value>,
    /// Request policy and other free settings (`context`, AK-112).
    pub context: Map<String, Value>,
    /// Base URL after `context.domain`/`version` were filled in at creation (AK-038).
    pub resolved_proxy_url: Option<String>,
    /// The app of the installation's operator stands in for `client_id` and the client secret, which
    /// are then filled in whenever the connection is read and never stored (AK-107).
    pub platform_app: bool,
    /// The user switched it off; completing the settings must not switch it on again.
    pub switched_off: bool,
}

/// A second bucket of scopes (AK-105).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OptionalScopes {
    /// Scopes.
    pub scopes: Vec<String>,
    /// Query parameter.
    pub field_name: String,
}

/// SMART on FHIR settings.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SmartSettings {
    /// `aud` of the authorization request.
    pub aud: String,
    /// Host that calls go to.
    pub domain: String,
}

impl SmartSettings {
    /// Base URL of calls; a bare host is reached over HTTPS.
    pub(crate) fn base_url(&self) -> Option<String> {
        let domain = set(Some(&self.domain))?;
        Some(if domain.contains("://") {
            domain.to_owned()
        } else {
            format!("https://{domain}")
        })
    }
}

/// Google domain-wide delegation settings.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct GoogleDwdSettings {
    /// Scopes.
    pub scopes: Vec<String>,
    /// Token endpoint.
    pub token_uri: Option<String>,
    /// Users may choose scopes.
    pub scope_selection_allowed: bool,
    /// Scopes that a choice always includes.
    pub required_scopes: Vec<String>,
}

/// Secrets of a connection; sealed as one document.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConnectionSecrets {
    /// OAuth client secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client_secret: String,
    /// Service account key of a domain-wide delegation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account_json: String,
    /// Google Ads developer token.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub developer_token: String,
}

/// New secrets of a connection: `None` keeps the stored one, an empty text takes it away.
#[derive(Clone, Debug, Default)]
pub struct SecretsPatch {
    /// OAuth client secret.
    pub client_secret: Option<Secret<String>>,
    /// Service account key of a domain-wide delegation.
    pub service_account_json: Option<Secret<String>>,
    /// Google Ads developer token.
    pub developer_token: Option<Secret<String>>,
}

impl ConnectionSecrets {
    /// Nothing is stored.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Puts new secrets in the place of the stored ones.
    pub(super) fn put(&mut self, patch: SecretsPatch) {
        for (stored, new) in [
            (&mut self.client_secret, patch.client_secret),
            (&mut self.service_account_json, patch.service_account_json),
            (&mut self.developer_token, patch.developer_token),
        ] {
            if let Some(new) = new {
                stored.zeroize();
                new.expose().clone_into(stored);
            }
        }
    }
}

impl fmt::Debug for ConnectionSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionSecrets(…)")
    }
}

impl Drop for ConnectionSecrets {
    fn drop(&mut self) {
        self.client_secret.zeroize();
        self.service_account_json.zeroize();
        self.developer_token.zeroize();
    }
}

/// How requests of a connection are made (AK-112).
#[derive(Clone, PartialEq, Debug)]
pub struct RequestPolicy {
    /// Time for one call, waiting for a place included; at most the ceiling.
    pub timeout: Duration,
    /// `User-Agent` sent upstream.
    pub user_agent: Option<String>,
    /// Headers added to every call.
    pub base_headers: BTreeMap<String, String>,
    /// Tries after the first.
    pub retries: u32,
    /// Growth of the pause between tries.
    pub backoff: Backoff,
    /// Calls per minute, hour, and at once.
    pub rate_limit: Option<RateLimit>,
}

/// Pause between tries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backoff {
    /// Doubles.
    Exponential,
    /// Grows by the same step.
    Linear,
    /// Stays.
    Fixed,
}

/// Local rate limit of a connection (AK-112, AK-114).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimit {
    /// Calls a minute.
    pub per_minute: u32,
    /// Calls an hour.
    pub per_hour: Option<u32>,
    /// Calls at once.
    pub burst: u32,
}

/// Where Microsoft Entra signs in.
const ENTRA: &str = "https://login.microsoftonline.com/";

/// Longest time of one execution (AK-414).
pub const CALL_CEILING: Duration = Duration::from_secs(55);

/// Shortest lifetime that settings may claim for a token: with less, each call would refresh.
pub const SHORTEST_TOKEN_LIFE: Duration = Duration::from_secs(60);

impl RequestPolicy {
    /// Reads the policy of a connection and lets the account only lower it.
    pub fn of(settings: &ConnectionSettings, api_config: &Map<String, Value>) -> Self {
        let get = |name: &str| {
            settings
                .context
                .get(name)
                .or_else(|| settings.static_config.get(name))
        };
        let seconds = |value: Option<&Value>| {
            value
                .and_then(number)
                .filter(|seconds| *seconds >= 1)
                .map(|seconds| Duration::from_secs(seconds.into()))
        };
        let mut timeout = seconds(get("timeout"))
            .unwrap_or(CALL_CEILING)
            .min(CALL_CEILING);
        if let Some(lower) = seconds(api_config.get("timeout")) {
            timeout = timeout.min(lower);
        }
        let mut rate_limit = rate_limit(get("rate_limiting"), get("rate_limit"));
        if let Some(lower) = api_config
            .get("rate_limit")
            .and_then(number)
            .filter(|n| *n > 0)
        {
            let limit = rate_limit.get_or_insert(RateLimit {
                per_minute: lower,
                per_hour: None,
                burst: lower,
            });
            limit.per_minute = limit.per_minute.min(lower);
            limit.burst = limit.burst.min(lower);
        }
        Self {
            timeout,
            user_agent: get("user_agent")
                .and_then(Value::as_str)
                .map(ToOwned::to_owned),
            base_headers: get("base_headers")
                .and_then(Value::as_object)
                .map(|headers| {
                    headers
                        .iter()
                        .filter_map(|(name, value)| {
                            Some((name.clone(), value.as_str()?.to_owned()))
                        })
                        .collect()
                })
                .unwrap_or_default(),
            retries: get("retry_attempts").and_then(number).unwrap_or(0).min(5),
            backoff: match get("backoff_strategy").and_then(Value::as_str) {
                Some("linear") => Backoff::Linear,
                Some("fixed") => Backoff::Fixed,
                _ => Backoff::Exponential,
            },
            rate_limit,
        }
    }
}

fn rate_limit(detailed: Option<&Value>, shorthand: Option<&Value>) -> Option<RateLimit> {
    let detailed = detailed.and_then(Value::as_object);
    let from = |name: &str| {
        detailed
            .and_then(|limits| limits.get(name))
            .and_then(number)
            .filter(|limit| *limit > 0)
    };
    let per_minute =
        from("requests_per_minute").or_else(|| shorthand.and_then(number).filter(|n| *n > 0))?;
    Some(RateLimit {
        per_minute,
        per_hour: from("requests_per_hour"),
        burst: from("burst_limit").unwrap_or(per_minute),
    })
}

/// Numbers arrive as doubles or text.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked range"
)]
fn number(value: &Value) -> Option<u32> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    (0.0..=f64::from(u32::MAX))
        .contains(&number)
        .then_some(number as u32)
}

impl Connection {
    fn oauth(pattern: Option<&AuthPattern>) -> Option<&crate::providers::OauthSettings> {
        pattern.and_then(|pattern| pattern.oauth_config.as_ref())
    }

    /// Authorization endpoint, the connection's before the connector's.
    pub fn authorize_uri<'a>(&'a self, pattern: Option<&'a AuthPattern>) -> Option<&'a str> {
        set(self.settings.authorize_uri.as_deref())
            .or_else(|| set(Self::oauth(pattern)?.authorize_uri.as_deref()))
    }

    /// Token endpoint, the connection's before the connector's.
    pub fn token_uri<'a>(&'a self, pattern: Option<&'a AuthPattern>) -> Option<&'a str> {
        set(self.settings.token_uri.as_deref())
            .or_else(|| set(Self::oauth(pattern)?.token_uri.as_deref()))
    }

    /// User info endpoint, the connection's before the connector's.
    pub fn user_info_uri<'a>(&'a self, pattern: Option<&'a AuthPattern>) -> Option<&'a str> {
        set(self.settings.user_info_uri.as_deref())
            .or_else(|| set(Self::oauth(pattern)?.user_info_uri.as_deref()))
    }

    /// An endpoint of Entra with the connection's tenant in its path (AK-105).
    pub(crate) fn in_tenant(&self, endpoint: &str) -> String {
        match set(self.settings.tenant_id.as_deref()) {
            Some(tenant) if endpoint.starts_with(ENTRA) => {
                endpoint.replacen("/common/", &format!("/{tenant}/"), 1)
            }
            _ => endpoint.to_owned(),
        }
    }

    /// Client authentication style; post when nobody says otherwise (AK-105).
    pub fn auth_method<'a>(&'a self, pattern: Option<&'a AuthPattern>) -> &'a str {
        set(self.settings.token_endpoint_auth_method.as_deref())
            .or_else(|| set(Self::oauth(pattern)?.token_endpoint_auth_method.as_deref()))
            .unwrap_or("client_secret_post")
    }

    /// Whether PKCE S256 is sent.
    pub fn pkce(&self, pattern: Option<&AuthPattern>) -> bool {
        self.settings
            .pkce_enabled
            .or_else(|| Self::oauth(pattern).map(|oauth| oauth.pkce_enabled))
            .unwrap_or(true)
    }

    /// The client that a new grant belongs to (AK-108).
    pub fn grant_client(&self, token_uri: String, pattern: Option<&AuthPattern>) -> GrantClient {
        GrantClient {
            client_id: self.settings.client_id.clone().unwrap_or_default(),
            client_secret: self.secrets.client_secret.clone(),
            token_uri,
            auth_method: self.auth_method(pattern).to_owned(),
        }
    }

    /// Time before expiry at which a token is refreshed (AK-113).
    pub fn refresh_buffer(&self) -> Duration {
        let seconds = self.settings.context.get("refresh_buffer").and_then(number);
        Duration::from_secs(seconds.unwrap_or(300).into())
    }

    /// Whether tokens are refreshed without being asked (AK-113).
    pub fn auto_refresh(&self) -> bool {
        self.settings
            .context
            .get("auto_refresh")
            .and_then(Value::as_bool)
            .unwrap_or(true)
    }

    /// Lifetime for providers that omit it (AK-113), at least [`SHORTEST_TOKEN_LIFE`].
    pub fn default_expires_in(&self, pattern: Option<&AuthPattern>) -> Option<Duration> {
        self.settings
            .context
            .get("expires_in")
            .and_then(number)
            .map(u64::from)
            .or_else(|| Self::oauth(pattern)?.default_expires_in)
            .map(|seconds| Duration::from_secs(seconds).max(SHORTEST_TOKEN_LIFE))
    }
}

fn set(value: Option<&str>) -> Option<&str> {
    value.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(context: &Value) -> ConnectionSettings {
        ConnectionSettings {
            context: context.as_object().unwrap().clone(),
            ..ConnectionSettings::default()
        }
    }

    /// Part of AK-112
    #[test]
    fn the_account_may_only_lower_the_policy() {
        let connection = settings(
            &json!({"timeout": 20, "rate_limit": 100, "retry_attempts": 3, "backoff_strategy": "linear",
            "user_agent": "Acme/1", "base_headers": {"X-App": "acme"}}),
        );
        let account = json!({"timeout": 60, "rate_limit": 10});
        let policy = RequestPolicy::of(&connection, account.as_object().unwrap());
        assert_eq!(policy.timeout, Duration::from_secs(20));
        assert_eq!(policy.rate_limit.map(|limit| limit.per_minute), Some(10));
        assert_eq!((policy.retries, policy.backoff), (3, Backoff::Linear));
        assert_eq!(policy.base_headers["X-App"], "acme");
        let lower = json!({"timeout": 5});
        assert_eq!(
            RequestPolicy::of(&connection, lower.as_object().unwrap()).timeout,
            Duration::from_secs(5)
        );
    }

    /// Part of AK-414
    #[test]
    fn nothing_exceeds_the_ceiling() {
        let policy = RequestPolicy::of(&settings(&json!({"timeout": 600})), &Map::new());
        assert_eq!(policy.timeout, CALL_CEILING);
    }

    /// Part of AK-112
    #[test]
    fn the_detailed_rate_limit_wins() {
        let connection = settings(&json!({"rate_limit": 5,
            "rate_limiting": {"requests_per_minute": 60, "requests_per_hour": 1000, "burst_limit": 10}}));
        let limit = RequestPolicy::of(&connection, &Map::new())
            .rate_limit
            .unwrap();
        assert_eq!(
            (limit.per_minute, limit.per_hour, limit.burst),
            (60, Some(1000), 10)
        );
    }
}
