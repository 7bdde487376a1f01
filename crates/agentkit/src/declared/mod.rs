//! Connectors and connections as a file declares them (AK-122).
//!
//! What the file says holds afterwards; what it does not mention stays as it is, and nothing is
//! deleted unless asked for. Everything goes through the use cases that the API and the dashboard
//! use, so the same rules hold and the same records are written.

mod apply;
mod check;
mod plan;

pub use plan::{Change, Plan};

use crate::{connections::AuthMode, providers::AuthKind};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A declaration. `S` is what stands for a secret: a place to read it from, or the secret itself.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration<S> {
    /// Connectors of the environment's own.
    #[serde(default = "Vec::new")]
    pub connectors: Vec<DeclaredConnector>,
    /// Connections.
    #[serde(default = "Vec::new")]
    pub connections: Vec<DeclaredConnection<S>>,
}

/// A connector of the environment's own. What is absent is kept, or the default of a new one.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredConnector {
    /// Name for people; it tells which connector is meant.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Base URL of its API.
    pub proxy_url: String,
    /// Whether raw calls may be made.
    pub proxy_enabled: Option<bool>,
    /// Auth patterns, as the API takes them.
    pub auth_patterns: Value,
}

/// A connection. What is absent is kept, or the default of a new one.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredConnection<S> {
    /// Name in code; it tells which connection is meant.
    pub name: String,
    /// Key of a built-in connector, or name of one of the environment's own.
    pub connector: String,
    /// How accounts authenticate; the connector's first way when absent.
    #[serde(rename = "type")]
    pub kind: Option<AuthKind>,
    /// Whose credential acts.
    pub auth_mode: Option<AuthMode>,
    /// Whether it may be used.
    pub enabled: Option<bool>,
    /// Uses the OAuth app of the installation.
    pub use_platform_creds: Option<bool>,
    /// OAuth client id.
    pub client_id: Option<String>,
    /// OAuth client secret.
    pub client_secret: Option<S>,
    /// Google Ads developer token.
    pub developer_token: Option<S>,
    /// Scopes to ask for.
    pub scopes: Option<Vec<String>>,
    /// Scopes that a choice always includes.
    pub required_scopes: Option<Vec<String>>,
    /// Users may choose scopes.
    pub scope_selection_allowed: Option<bool>,
    /// Authorization endpoint.
    pub authorize_uri: Option<String>,
    /// Token endpoint.
    pub token_uri: Option<String>,
    /// User info endpoint.
    pub user_info_uri: Option<String>,
    /// Client authentication at the token endpoint.
    pub token_endpoint_auth_method: Option<String>,
    /// PKCE S256.
    pub pkce_enabled: Option<bool>,
    /// `prompt` of the authorization request.
    pub prompt: Option<String>,
    /// `access_type` of the authorization request.
    pub access_type: Option<String>,
    /// Tenant for Entra endpoints.
    pub tenant_id: Option<String>,
    /// Further parameters of the authorization request.
    pub extra_authorize_params: Option<BTreeMap<String, String>>,
    /// Free settings of a static connection.
    pub static_config: Option<Map<String, Value>>,
    /// Request policy and other free settings.
    pub context: Option<Map<String, Value>>,
}

/// What happens to connections and connectors that are there and not declared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undeclared {
    /// They stay.
    Keep,
    /// They are deleted; a connection with accounts is refused.
    Delete,
}

impl<S> Declaration<S> {
    /// Reads every secret.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn with_secrets<T, E>(
        self,
        read: impl Fn(&str, S) -> Result<T, E>,
    ) -> Result<Declaration<T>, E> {
        let connections = self.connections.into_iter().map(|one| {
            let secret = |source: Option<S>| {
                let read = source.map(|source| read(&one.name, source));
                read.transpose()
            };
            Ok(DeclaredConnection {
                client_secret: secret(one.client_secret)?,
                developer_token: secret(one.developer_token)?,
                name: one.name,
                connector: one.connector,
                kind: one.kind,
                auth_mode: one.auth_mode,
                enabled: one.enabled,
                use_platform_creds: one.use_platform_creds,
                client_id: one.client_id,
                scopes: one.scopes,
                required_scopes: one.required_scopes,
                scope_selection_allowed: one.scope_selection_allowed,
                authorize_uri: one.authorize_uri,
                token_uri: one.token_uri,
                user_info_uri: one.user_info_uri,
                token_endpoint_auth_method: one.token_endpoint_auth_method,
                pkce_enabled: one.pkce_enabled,
                prompt: one.prompt,
                access_type: one.access_type,
                tenant_id: one.tenant_id,
                extra_authorize_params: one.extra_authorize_params,
                static_config: one.static_config,
                context: one.context,
            })
        });
        Ok(Declaration {
            connections: connections.collect::<Result<_, E>>()?,
            connectors: self.connectors,
        })
    }
}
