//! What the vault keeps for one connected account, sealed as one JSON document.

use crate::providers::AuthKind;
use keystead_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use zeroize::Zeroize;

/// A stored credential. It has no `Debug` that shows values.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Credential {
    /// Live access token; typed in, granted or minted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub access_token: String,
    /// Secret belonging to an OAuth 1.0a token or to an AWS access key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token_secret: String,
    /// Id of a temporary AWS access key, whose session token is the access token.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub access_key_id: String,
    /// Refresh token.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub refresh_token: String,
    /// Granted scopes (AK-216).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Host of the account at the provider, where the grant names one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// Static details the user typed in (`static_auth.details`).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
    /// Delegated user of a Google domain-wide delegation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The OAuth client the grant was issued to (AK-108).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<GrantClient>,
    /// Whether a refresh was seen to change the refresh token; unknown before the first refresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotates: Option<bool>,
    /// Account at the provider, for noticing a consent with another one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub provider_subject: String,
}

/// The OAuth client that a grant belongs to, kept so that a later change of the connection's
/// credentials leaves running grants alone (AK-108).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantClient {
    /// Client id.
    pub client_id: String,
    /// Client secret; empty for public clients.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client_secret: String,
    /// Endpoint for refreshes.
    pub token_uri: String,
    /// How the client authenticates there.
    pub auth_method: String,
}

impl Credential {
    /// Whether it is enough to act with: something to send, or something to get it with (AK-202).
    pub fn is_usable(&self, kind: AuthKind) -> bool {
        match kind {
            AuthKind::NoAuth => true,
            AuthKind::Oauth | AuthKind::SmartFhir | AuthKind::TrelloOauth1 => {
                !self.access_token.is_empty() || !self.refresh_token.is_empty()
            }
            AuthKind::GoogleDwd => !self.subject.is_empty(),
            _ => !self.details.is_empty() || !self.access_token.is_empty(),
        }
    }

    /// A detail as text.
    pub fn detail(&self, name: &str) -> &str {
        self.details.get(name).and_then(Value::as_str).unwrap_or("")
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

impl fmt::Debug for GrantClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantClient({})", self.client_id)
    }
}

impl Drop for GrantClient {
    fn drop(&mut self) {
        self.client_secret.zeroize();
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        self.access_token.zeroize();
        self.token_secret.zeroize();
        self.refresh_token.zeroize();
        for value in self.details.values_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

/// A credential with its state in the database.
#[derive(Clone, Debug)]
pub struct StoredCredential {
    /// The secret part.
    pub credential: Credential,
    /// Grows with every change of the secret part.
    pub version: i64,
    /// When the access token ends; `None` when the provider did not say.
    pub expires_at: Option<Timestamp>,
}
