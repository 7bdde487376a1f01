//! A connection: how one environment uses a provider (AK-100..AK-125).

use super::{ConnectionSecrets, request_policy::number};
use crate::{
    providers::{AuthKind, AuthPattern},
    vault::GrantClient,
};
use keystead_types::{ConnectionId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, time::Duration};

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

/// Where Microsoft Entra signs in.
const ENTRA: &str = "https://login.microsoftonline.com/";

/// Shortest lifetime that settings may claim for a token: with less, each call would refresh.
pub const SHORTEST_TOKEN_LIFE: Duration = Duration::from_secs(60);

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
