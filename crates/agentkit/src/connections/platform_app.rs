//! OAuth apps of the installation's operator, which connections may use instead of their own client
//! (AK-107), and the connection that new environments begin with (AK-103).

use super::{
    AuthMode, Connection, ConnectionPatch, ConnectionSettings, NewConnection, SecretsPatch,
};
use crate::{AgentKit, Error, error::Result, providers::AuthKind};
use keystead_identity::Actor;
use keystead_types::{EnvironmentId, Secret};
use serde_json::Map;
use std::{collections::BTreeMap, sync::Arc};

/// An OAuth app that the operator registered at a provider.
#[derive(Clone, Debug)]
pub struct PlatformApp {
    /// Its client id.
    pub client_id: String,
    /// Its client secret.
    pub client_secret: Secret<String>,
}

/// The operator's apps, by connector key.
pub type PlatformApps = BTreeMap<String, Arc<PlatformApp>>;

/// What new environments have a connection for, when the operator has an app for it.
const FIRST: &str = "GMAIL";
const FIRST_SCOPES: [&str; 3] = [
    "openid",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/gmail.readonly",
];

impl AgentKit {
    /// Connectors for which the operator configured an app.
    pub fn platform_apps(&self) -> &PlatformApps {
        &self.0.platform_apps
    }

    /// Checks a connection that is to use the operator's app.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none, or when its secret could leave for another host.
    pub(super) fn check_platform_app(&self, connection: &Connection) -> Result<()> {
        let settings = &connection.settings;
        if !settings.platform_app {
            return Ok(());
        }
        let known = self.platform_apps().contains_key(&connection.provider_key);
        if connection.kind != AuthKind::Oauth || !known {
            return Err(Error::field(
                "connection.oauth_config.use_platform_creds",
                "is not available: this installation has no OAuth app for the provider; send client_id and client_secret",
            ));
        }
        // SECURITY: the operator's secret goes to the token endpoint, so nobody else names that.
        for (field, uri) in [
            ("authorize_uri", &settings.authorize_uri),
            ("token_uri", &settings.token_uri),
        ] {
            if uri.as_deref().is_some_and(|uri| !uri.is_empty()) {
                let field = format!("connection.oauth_config.{field}");
                return Err(Error::field(
                    &field,
                    "must be the provider's own with the app of this installation",
                ));
            }
        }
        Ok(())
    }

    /// Puts the operator's app in the place of the client of a connection that uses it.
    pub(super) fn lend_platform_app(&self, connection: &mut Connection) {
        if !connection.settings.platform_app {
            return;
        }
        let app = self.platform_apps().get(&connection.provider_key);
        connection.settings.client_id = app.map(|app| app.client_id.clone());
        let secret = app.map_or_else(
            || Secret::new(String::new()),
            |app| app.client_secret.clone(),
        );
        connection.secrets.put(SecretsPatch {
            client_secret: Some(secret),
            ..SecretsPatch::default()
        });
    }

    /// Gives a new environment its first connection, when the operator configured an app for it
    /// (AK-103).
    ///
    /// # Errors
    /// Those of creating it.
    pub async fn prepare_environment(&self, env: EnvironmentId, actor: &Actor) -> Result<()> {
        if !self.platform_apps().contains_key(FIRST) {
            return Ok(());
        }
        let new = NewConnection {
            provider_key: FIRST.to_owned(),
            kind: Some(AuthKind::Oauth),
            key_id: None,
            context: Map::new(),
            auth_mode: AuthMode::User,
        };
        let made = self.create_connection(env, actor, new).await?;
        let settings = ConnectionSettings {
            platform_app: true,
            scopes: FIRST_SCOPES.map(str::to_owned).to_vec(),
            ..made.settings
        };
        let patch = ConnectionPatch {
            settings: Some(settings),
            ..ConnectionPatch::default()
        };
        self.update_connection(env, actor, made.id, patch).await?;
        Ok(())
    }
}

impl Connection {
    /// The connection as it is stored: without the operator's app.
    pub(crate) fn without_platform_app(&self) -> Self {
        let mut own = self.clone();
        if own.settings.platform_app {
            own.settings.client_id = None;
            own.secrets.put(SecretsPatch {
                client_secret: Some(Secret::new(String::new())),
                ..SecretsPatch::default()
            });
        }
        own
    }
}
