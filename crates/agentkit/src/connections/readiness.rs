//! Whether a connection is complete and may be used (AK-104, AK-121).

use super::{Connection, ConnectionStatus};
use crate::{
    Error,
    error::Result,
    providers::{AuthKind, Provider},
};

impl Connection {
    /// Whether everything needed is there; names the first missing setting.
    pub fn missing(&self, provider: &Provider) -> Option<&'static str> {
        let pattern = provider.pattern(self.kind);
        match self.kind {
            AuthKind::Oauth | AuthKind::SmartFhir => {
                if self.authorize_uri(pattern).is_none() {
                    Some("authorize_uri")
                } else if self.token_uri(pattern).is_none() {
                    Some("token_uri")
                } else if self.settings.client_id.as_deref().unwrap_or("").is_empty() {
                    Some("client_id")
                } else if self.kind == AuthKind::Oauth
                    && self.secrets.client_secret.is_empty()
                    && self.auth_method(pattern) != "none"
                {
                    Some("client_secret")
                } else {
                    None
                }
            }
            AuthKind::TrelloOauth1 => {
                if self.settings.client_id.as_deref().unwrap_or("").is_empty() {
                    Some("client_id")
                } else {
                    (self.secrets.client_secret.is_empty()).then_some("client_secret")
                }
            }
            AuthKind::GoogleDwd => self
                .secrets
                .service_account_json
                .is_empty()
                .then_some("service_account_json"),
            _ => None,
        }
    }

    /// # Errors
    /// [`Error::ConnectionDisabled`], [`Error::ConnectionDraft`].
    pub(crate) fn require_usable(&self, provider: &Provider) -> Result<()> {
        if let Some(missing) = self.missing(provider) {
            return Err(Error::ConnectionDraft {
                name: self.key_id.clone(),
                missing,
            });
        }
        if !self.enabled {
            return Err(Error::ConnectionDisabled(self.key_id.clone()));
        }
        Ok(())
    }
}

/// Draft becomes completed (and switched on, unless the user said otherwise) as soon as nothing is
/// missing, and goes back when something is taken away.
pub(super) fn complete(connection: &mut Connection, provider: &Provider) {
    let complete = connection.missing(provider).is_none();
    connection.status = if complete {
        ConnectionStatus::Completed
    } else {
        ConnectionStatus::Draft
    };
    connection.enabled = complete && !connection.settings.switched_off;
}
