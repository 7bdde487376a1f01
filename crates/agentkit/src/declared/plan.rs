//! What a declaration would change.

use super::{Declaration, DeclaredConnection, DeclaredConnector, Undeclared};
use crate::{
    AgentKit, Error,
    connections::{Connection, ConnectionPatch, ConnectionSettings, SecretsPatch},
    error::Result,
    providers::{Provider, ProviderFilter, name_key, parse_patterns},
};
use keystead_store::entities::connections::ConnectionFilter;
use keystead_types::{EnvironmentId, FieldViolation, PageRequest, PageSize, Secret};
use serde::Serialize;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, fmt, sync::Arc};

/// Changes, in the order in which they are made.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// None when everything is as declared.
    pub changes: Vec<Change>,
    /// Names of what is there and not declared, when it stays.
    pub kept: Vec<String>,
}

/// One change.
#[derive(Clone, Debug)]
pub enum Change {
    /// A connector is made.
    CreateConnector(DeclaredConnector),
    /// A connector changes.
    UpdateConnector {
        /// Its key.
        identifier: String,
        /// What it should be.
        declared: DeclaredConnector,
        /// What differs, in words.
        differences: Vec<String>,
    },
    /// A connection is made.
    CreateConnection(Box<DeclaredConnection<Secret<String>>>),
    /// A connection changes.
    UpdateConnection {
        /// As it is.
        connection: Box<Connection>,
        /// What it should be.
        declared: Box<DeclaredConnection<Secret<String>>>,
        /// What differs, in words without secrets.
        differences: Vec<String>,
    },
    /// A connection goes.
    DeleteConnection(Box<Connection>),
    /// A connector goes.
    DeleteConnector(Arc<Provider>),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = |f: &mut fmt::Formatter<'_>, differences: &[String]| {
            differences
                .iter()
                .try_for_each(|difference| write!(f, "\n    {difference}"))
        };
        match self {
            Self::CreateConnector(declared) => write!(f, "+ connector {}", declared.name),
            Self::UpdateConnector {
                declared,
                differences,
                ..
            } => {
                write!(f, "~ connector {}", declared.name)?;
                details(f, differences)
            }
            Self::CreateConnection(declared) => {
                write!(f, "+ connection {} ({})", declared.name, declared.connector)
            }
            Self::UpdateConnection {
                declared,
                differences,
                ..
            } => {
                write!(f, "~ connection {}", declared.name)?;
                details(f, differences)
            }
            Self::DeleteConnection(connection) => write!(f, "- connection {}", connection.key_id),
            Self::DeleteConnector(provider) => write!(f, "- connector {}", provider.display_name),
        }
    }
}

impl AgentKit {
    /// Compares a declaration with an environment; changes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the declaration contradicts itself or what cannot be changed.
    pub async fn plan(
        &self,
        env: EnvironmentId,
        declared: &Declaration<Secret<String>>,
        undeclared: Undeclared,
    ) -> Result<Plan> {
        require_once(declared)?;
        let providers = self.own_providers(env).await?;
        let connections = self.all_connections(env).await?;
        let (mut plan, mut gone) = (Plan::default(), Vec::new());
        for connector in &declared.connectors {
            let key = name_key(&connector.name);
            let mut there = providers.iter();
            match there.find(|provider| name_key(&provider.display_name) == key) {
                None => plan
                    .changes
                    .push(Change::CreateConnector(connector.clone())),
                Some(provider) => plan.changes.extend(changed_connector(provider, connector)?),
            }
        }
        for wanted in &declared.connections {
            match connections.iter().find(|one| one.key_id == wanted.name) {
                None => plan
                    .changes
                    .push(Change::CreateConnection(Box::new(wanted.clone()))),
                Some(connection) => {
                    let change = changed_connection(connection, wanted, &providers)?;
                    plan.changes.extend(change);
                }
            }
        }
        for connection in connections {
            let mut names = declared.connections.iter();
            if names.any(|wanted| wanted.name == connection.key_id) {
                continue;
            }
            match undeclared {
                Undeclared::Keep => plan.kept.push(format!("connection {}", connection.key_id)),
                Undeclared::Delete => gone.push(Change::DeleteConnection(Box::new(connection))),
            }
        }
        for provider in &providers {
            let key = name_key(&provider.display_name);
            let mut names = declared.connectors.iter();
            if names.any(|wanted| name_key(&wanted.name) == key) {
                continue;
            }
            match undeclared {
                Undeclared::Keep => plan
                    .kept
                    .push(format!("connector {}", provider.display_name)),
                Undeclared::Delete => gone.push(Change::DeleteConnector(provider.clone())),
            }
        }
        self.check_changes(&plan.changes, declared, &providers)?;
        plan.changes.extend(gone);
        Ok(plan)
    }

    pub(super) async fn own_providers(&self, env: EnvironmentId) -> Result<Vec<Arc<Provider>>> {
        let (mut all, mut page) = (Vec::new(), first_page());
        loop {
            let found = self
                .list_providers(env, ProviderFilter::Custom, "", &page)
                .await?;
            all.extend(found.items);
            if found.next_page_token.is_empty() {
                return Ok(all);
            }
            page.token = found.next_page_token;
        }
    }

    async fn all_connections(&self, env: EnvironmentId) -> Result<Vec<Connection>> {
        let (mut all, mut page) = (Vec::new(), first_page());
        let filter = ConnectionFilter::default();
        loop {
            let found = self.list_connections(env, &filter, &page).await?;
            all.extend(found.items);
            if found.next_page_token.is_empty() {
                return Ok(all);
            }
            page.token = found.next_page_token;
        }
    }
}

fn first_page() -> PageRequest {
    PageRequest {
        size: PageSize::clamp(100, 100, 100),
        token: String::new(),
    }
}

/// Two declarations of one thing would undo each other at every run.
fn require_once(declared: &Declaration<Secret<String>>) -> Result<()> {
    let mut seen = BTreeSet::new();
    let connectors = declared.connectors.iter();
    let connectors = connectors.map(|one| format!("connector {}", name_key(&one.name)));
    let connections = declared.connections.iter();
    let connections = connections.map(|one| format!("connection {}", one.name));
    for name in connectors.chain(connections) {
        if !seen.insert(name.clone()) {
            return Err(Error::field(&name, "is declared twice"));
        }
    }
    Ok(())
}

/// The provider key that a declared connection means; `None` while its connector does not exist.
pub(super) fn provider_key(kit: &AgentKit, named: &str, own: &[Arc<Provider>]) -> Option<String> {
    if let Some(provider) = kit.catalogue().find(named) {
        return Some(provider.identifier.clone());
    }
    own_key(named, own)
}

fn own_key(named: &str, own: &[Arc<Provider>]) -> Option<String> {
    let key = name_key(named);
    own.iter()
        .find(|provider| provider.identifier == named || name_key(&provider.display_name) == key)
        .map(|provider| provider.identifier.clone())
}

/// Notes a difference between what is and what should be; nothing when `wanted` is not declared.
fn compare<T: Serialize + PartialEq>(
    differences: &mut Vec<String>,
    name: &str,
    is: &T,
    wanted: Option<&T>,
) {
    if let Some(wanted) = wanted.filter(|wanted| *wanted != is) {
        let text = |value: &T| serde_json::to_string(value).unwrap_or_default();
        differences.push(format!("{name}: {} → {}", text(is), text(wanted)));
    }
}

fn changed_connector(provider: &Provider, declared: &DeclaredConnector) -> Result<Option<Change>> {
    let mut differences = Vec::new();
    let add = &mut differences;
    compare(add, "name", &provider.display_name, Some(&declared.name));
    compare(
        add,
        "description",
        &provider.description,
        declared.description.as_ref(),
    );
    compare(
        add,
        "proxy_url",
        &provider.proxy_url,
        Some(&declared.proxy_url),
    );
    compare(
        add,
        "proxy_enabled",
        &provider.proxy_enabled,
        declared.proxy_enabled.as_ref(),
    );
    let patterns = parse_patterns(&declared.auth_patterns).map_err(|found| {
        let named = |one: FieldViolation| FieldViolation {
            field: format!("connector {}: {}", declared.name, one.field),
            ..one
        };
        Error::Invalid(found.into_iter().map(named).collect())
    })?;
    if patterns != provider.auth_patterns {
        differences.push("auth_patterns: changed".to_owned());
    }
    Ok((!differences.is_empty()).then(|| Change::UpdateConnector {
        identifier: provider.identifier.clone(),
        declared: declared.clone(),
        differences,
    }))
}

fn changed_connection(
    connection: &Connection,
    declared: &DeclaredConnection<Secret<String>>,
    own: &[Arc<Provider>],
) -> Result<Option<Change>> {
    let named = &declared.connector;
    let same = connection.provider_key.eq_ignore_ascii_case(named)
        || own_key(named, own).as_ref() == Some(&connection.provider_key);
    let fixed = |what: &str| {
        let field = format!("connection {}: {what}", declared.name);
        Error::field(&field, "cannot change; declare another connection")
    };
    if !same {
        return Err(fixed("connector"));
    }
    if declared.kind.is_some_and(|kind| kind != connection.kind) {
        return Err(fixed("type"));
    }
    if declared
        .auth_mode
        .is_some_and(|mode| mode != connection.auth_mode)
    {
        return Err(fixed("auth_mode"));
    }
    let connection = &connection.without_platform_app();
    let differences = differences(connection, declared);
    Ok((!differences.is_empty()).then(|| Change::UpdateConnection {
        connection: Box::new(connection.clone()),
        declared: Box::new(declared.clone()),
        differences,
    }))
}

fn differences(
    connection: &Connection,
    declared: &DeclaredConnection<Secret<String>>,
) -> Vec<String> {
    let is = &connection.settings;
    let wanted = patched_settings(is.clone(), declared);
    let mut found = Vec::new();
    // The settings as stored, one by one, so that none is forgotten here.
    let (before, after) = (document(is), document(&wanted));
    for (name, value) in &after {
        // The app of the installation stands in for it.
        let lent = name == "client_id" && wanted.platform_app;
        let old = before.get(name).unwrap_or(&Value::Null);
        if value == old || lent {
            continue;
        }
        // SECURITY: free settings can hold keys, in headers for example.
        if old.is_object() || value.is_object() {
            found.extend(changed_keys(name, old, value));
        } else {
            found.push(format!("{}: {old} → {value}", shown_name(name)));
        }
    }
    let secrets = [
        (
            "client_secret",
            &declared.client_secret,
            &connection.secrets.client_secret,
        ),
        (
            "developer_token",
            &declared.developer_token,
            &connection.secrets.developer_token,
        ),
    ];
    for (name, wanted, stored) in secrets {
        if wanted.as_ref().is_some_and(|one| one.expose() != stored) {
            found.push(format!("{name}: changed"));
        }
    }
    found
}

/// What differs in free settings, by name alone.
fn changed_keys(name: &str, old: &Value, new: &Value) -> Vec<String> {
    let both = [old, new].into_iter().filter_map(Value::as_object);
    let keys: BTreeSet<&String> = both.flat_map(Map::keys).collect();
    let changed = keys
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key));
    changed
        .map(|key| format!("{name}.{key}: changed"))
        .collect()
}

fn document(settings: &ConnectionSettings) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn shown_name(name: &str) -> &str {
    match name {
        "platform_app" => "use_platform_creds",
        "switched_off" => "switched off",
        other => other,
    }
}

/// What a declaration makes of a connection.
pub(super) fn patched(
    connection: &Connection,
    declared: &DeclaredConnection<Secret<String>>,
) -> ConnectionPatch {
    ConnectionPatch {
        key_id: None,
        settings: Some(patched_settings(connection.settings.clone(), declared)),
        secrets: SecretsPatch {
            client_secret: declared.client_secret.clone(),
            developer_token: declared.developer_token.clone(),
            service_account_json: None,
        },
    }
}

pub(super) fn patched_settings(
    mut settings: ConnectionSettings,
    declared: &DeclaredConnection<Secret<String>>,
) -> ConnectionSettings {
    for (stored, wanted) in [
        (&mut settings.client_id, &declared.client_id),
        (&mut settings.authorize_uri, &declared.authorize_uri),
        (&mut settings.token_uri, &declared.token_uri),
        (&mut settings.user_info_uri, &declared.user_info_uri),
        (
            &mut settings.token_endpoint_auth_method,
            &declared.token_endpoint_auth_method,
        ),
        (&mut settings.prompt, &declared.prompt),
        (&mut settings.access_type, &declared.access_type),
        (&mut settings.tenant_id, &declared.tenant_id),
    ] {
        if let Some(wanted) = wanted {
            *stored = Some(wanted.clone()).filter(|text| !text.is_empty());
        }
    }
    let put = |stored: &mut Vec<String>, wanted: &Option<Vec<String>>| {
        if let Some(wanted) = wanted {
            stored.clone_from(wanted);
        }
    };
    put(&mut settings.scopes, &declared.scopes);
    put(&mut settings.required_scopes, &declared.required_scopes);
    if let Some(wanted) = declared.pkce_enabled {
        settings.pkce_enabled = Some(wanted);
    }
    if let Some(wanted) = declared.scope_selection_allowed {
        settings.scope_selection_allowed = wanted;
    }
    if let Some(wanted) = declared.use_platform_creds {
        settings.platform_app = wanted;
    }
    if let Some(enabled) = declared.enabled {
        settings.switched_off = !enabled;
    }
    if let Some(wanted) = &declared.extra_authorize_params {
        settings.extra_authorize_params.clone_from(wanted);
    }
    if let Some(wanted) = &declared.static_config {
        settings.static_config.clone_from(wanted);
    }
    if let Some(wanted) = &declared.context {
        settings.context.clone_from(wanted);
    }
    settings
}
