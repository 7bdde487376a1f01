//! Creating a connection (AK-038, AK-100..AK-102).

use super::{
    AuthMode, Connection, ConnectionSecrets, ConnectionSettings, ConnectionStatus,
    name::{checked_name, name_taken},
    readiness::complete,
};
use crate::{
    AgentKit, Error,
    error::Result,
    providers::{AuthKind, AuthPattern, Provider, from_row},
    record,
    template::{self, Values},
};
use keystead_identity::Actor;
use keystead_store::entities::{connections, custom_providers};
use keystead_types::EnvironmentId;
use serde_json::{Map, Value};

/// A new connection.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// Connector.
    pub provider_key: String,
    /// Kind; the connector's first pattern when absent.
    pub kind: Option<AuthKind>,
    /// Name in code; derived when absent (AK-101).
    pub key_id: Option<String>,
    /// Free settings; of `domain` and `version` only the resolved URL is kept (AK-038).
    pub context: Map<String, Value>,
    /// Whose credential acts.
    pub auth_mode: AuthMode,
}

impl AgentKit {
    /// Creates a connection.
    ///
    /// # Errors
    /// [`Error::ProviderNotFound`], [`Error::Invalid`], [`Error::ConnectionNameTaken`].
    pub async fn create_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        new: NewConnection,
    ) -> Result<Connection> {
        let provider = self.provider(env, &new.provider_key).await?;
        let kind = match new.kind {
            Some(kind) => kind,
            None => provider
                .auth_patterns
                .first()
                .map_or(AuthKind::NoAuth, |pattern| pattern.kind),
        };
        let pattern = provider
            .pattern(kind)
            .ok_or_else(|| Error::field("type", "is not one of the provider's auth patterns"))?;
        if new.auth_mode == AuthMode::OrgWide && kind == AuthKind::NoAuth {
            return Err(Error::field(
                "auth_mode",
                "cannot be ORG_WIDE: there is no credential to share",
            ));
        }
        let mut settings = ConnectionSettings {
            resolved_proxy_url: resolve_context(&provider, pattern, &new.context)?,
            context: new.context,
            ..ConnectionSettings::default()
        };
        settings.context.remove("domain");
        settings.context.remove("version");
        super::check_settings(&settings)?;
        let key_id = match new.key_id.filter(|name| !name.is_empty()) {
            Some(name) => checked_name(name)?,
            None => self.default_name(env, &provider).await?,
        };
        let now = self.ctx().clock.now();
        let mut connection = Connection {
            id: self.ctx().ids.next(&*self.ctx().clock),
            key_id,
            provider_key: provider.identifier.clone(),
            kind,
            status: ConnectionStatus::Draft,
            enabled: false,
            auth_mode: new.auth_mode,
            settings,
            secrets: ConnectionSecrets::default(),
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        complete(&mut connection, &provider);
        let row = self.connection_row(env, &connection).await?;
        let mut tx = self.ctx().db.begin(env).await?;
        if provider.is_custom {
            let row = custom_providers::lock(&mut tx, &provider.identifier)
                .await?
                .ok_or_else(|| Error::ProviderNotFound(new.provider_key))?;
            // Or it was changed meanwhile, when nothing used the kind yet.
            let pattern = from_row(&row)?.pattern(kind).map(|_| ());
            pattern.ok_or(Error::Conflict)?;
        }
        connections::insert(&mut tx, &row)
            .await
            .map_err(|error| name_taken(error, &connection.key_id))?;
        record::audit(
            &mut tx,
            self.ctx(),
            actor,
            "connection.created",
            &connection.id.to_string(),
        )
        .await?;
        tx.commit().await?;
        // A remembered name may mean this connection now, or nothing any more (AK-102).
        self.forget_all(env);
        Ok(connection)
    }
}

/// Fills `domain` and `version` of an MCP connector's URL at creation (AK-038).
fn resolve_context(
    provider: &Provider,
    pattern: &AuthPattern,
    context: &Map<String, Value>,
) -> Result<Option<String>> {
    let wanted = template::variables(&provider.proxy_url);
    let mut values = Values::new();
    for name in ["domain", "version"] {
        if let Some(value) = context
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
        {
            values.insert(name.to_owned(), value.to_owned());
        }
    }
    if values.is_empty() || wanted.iter().any(|name| !values.contains_key(*name)) {
        return Ok(None);
    }
    let filled = template::fill_url(&provider.proxy_url, &values)?;
    let allowed = &pattern.allowed_proxy_domains;
    let host = url::Url::parse(&filled)
        .ok()
        .and_then(|url| url.host_str().map(ToOwned::to_owned))
        .unwrap_or_default();
    if !allowed.is_empty() && !template::host_allowed(&host, allowed) {
        return Err(template::TemplateError::HostNotAllowed(host).into());
    }
    Ok(Some(filled))
}
