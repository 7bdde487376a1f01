//! Secrets of a connection (AK-105).

use keystead_types::Secret;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroize;

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
