//! Creating, changing and finding connections (AK-100..AK-104, AK-121).

use super::{
    AuthMode, Connection, ConnectionSecrets, ConnectionSettings, ConnectionStatus, SecretsPatch,
};
use crate::{
    AgentKit, Error,
    error::Result,
    providers::{AuthKind, Provider},
    record,
    template::{self, Values},
};
use keystead_crypto::{CursorScope, Place, random_token};
use keystead_identity::Actor;
use keystead_store::{
    Query, SortKey, Window,
    entities::{
        connected_accounts,
        connections::{self, ConnectionFilter, ConnectionRow, KEY_ID_INDEX},
        custom_providers,
    },
};
use keystead_types::{ConnectionId, EnvironmentId, Id, Internal, Page, PageRequest};
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

/// A change of a connection; `None` keeps the value.
#[derive(Clone, Debug, Default)]
pub struct ConnectionPatch {
    /// Name in code.
    pub key_id: Option<String>,
    /// Replaces the settings that are not secret; made from the current ones.
    pub settings: Option<ConnectionSettings>,
    /// New secrets.
    pub secrets: SecretsPatch,
}

/// How often a change is tried that others keep overtaking.
const MAX_TRIES: usize = 50;

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
        if provider.pattern(kind).is_none() {
            return Err(Error::field(
                "type",
                "is not one of the provider's auth patterns",
            ));
        }
        if new.auth_mode == AuthMode::OrgWide && kind == AuthKind::NoAuth {
            return Err(Error::field(
                "auth_mode",
                "cannot be ORG_WIDE: there is no credential to share",
            ));
        }
        let mut settings = ConnectionSettings {
            resolved_proxy_url: resolve_context(&provider, &new.context)?,
            context: new.context,
            ..ConnectionSettings::default()
        };
        settings.context.remove("domain");
        settings.context.remove("version");
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
            custom_providers::lock(&mut tx, &provider.identifier)
                .await?
                .ok_or_else(|| Error::ProviderNotFound(new.provider_key))?;
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

    /// Changes a connection; completing its settings switches it on (AK-104).
    ///
    /// # Errors
    /// Those of [`Self::change_connection`].
    pub async fn update_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        id: ConnectionId,
        patch: ConnectionPatch,
    ) -> Result<Connection> {
        self.change_connection(env, actor, id, |_| Ok(patch.clone()))
            .await
    }

    /// As [`Self::update_connection`] with a patch that is made from the connection as it is: made
    /// again when somebody else changes it meanwhile, so that no change is lost.
    ///
    /// # Errors
    /// [`Error::ConnectionNotFound`], [`Error::ConnectionNameTaken`], [`Error::Invalid`], those of
    /// `change`.
    pub async fn change_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        id: ConnectionId,
        change: impl Fn(&Connection) -> Result<ConnectionPatch> + Send + Sync,
    ) -> Result<Connection> {
        self.edit_connection(env, actor, id, "connection.updated", |connection, _| {
            // The app of the installation is nothing that a change could keep.
            *connection = connection.without_platform_app();
            let patch = change(connection)?;
            if let Some(name) = patch.key_id {
                connection.key_id = checked_name(name)?;
            }
            if let Some(settings) = patch.settings {
                super::check_settings(&settings)?;
                connection.settings = settings;
            }
            connection.secrets.put(patch.secrets);
            self.check_platform_app(connection)?;
            self.lend_platform_app(connection);
            Ok(())
        })
        .await
    }

    /// Switches a connection on (AK-104).
    ///
    /// # Errors
    /// [`Error::ConnectionIncomplete`] when a setting is missing.
    pub async fn enable_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        id: ConnectionId,
    ) -> Result<Connection> {
        let action = "connection.enabled";
        self.edit_connection(env, actor, id, action, |connection, provider| {
            if let Some(missing) = connection.missing(provider) {
                return Err(Error::ConnectionIncomplete {
                    name: connection.key_id.clone(),
                    missing,
                });
            }
            connection.settings.switched_off = false;
            Ok(())
        })
        .await
    }

    /// Switches a connection off; data and tokens are kept (AK-121).
    pub async fn disable_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        id: ConnectionId,
    ) -> Result<Connection> {
        self.edit_connection(env, actor, id, "connection.disabled", |connection, _| {
            connection.settings.switched_off = true;
            Ok(())
        })
        .await
    }

    /// Reads, edits and writes a connection, again when it was changed in between.
    async fn edit_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        id: ConnectionId,
        action: &'static str,
        edit: impl Fn(&mut Connection, &Provider) -> Result<()> + Send + Sync,
    ) -> Result<Connection> {
        for _ in 0..MAX_TRIES {
            let mut connection = self.connection(env, id).await?;
            let provider = self.provider(env, &connection.provider_key).await?;
            let name = connection.key_id.clone();
            edit(&mut connection, &provider)?;
            if connection.key_id != name {
                self.require_unused(env, id).await?;
            }
            complete(&mut connection, &provider);
            match self.save_connection(env, actor, connection, action).await {
                Err(Error::Conflict) => {}
                done => return done,
            }
        }
        Err(Error::Conflict)
    }

    /// Code that uses the accounts knows the connection by its name (AK-101).
    async fn require_unused(&self, env: EnvironmentId, id: ConnectionId) -> Result<()> {
        let mut read = self.ctx().db.read(env);
        if connected_accounts::count_of_connection(&mut read, id).await? > 0 {
            return Err(Error::field(
                "key_id",
                "cannot change once accounts use the connection",
            ));
        }
        Ok(())
    }

    /// Removes a connection without accounts (AK-121).
    ///
    /// # Errors
    /// [`Error::ConnectionInUse`].
    pub async fn delete_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        id: ConnectionId,
    ) -> Result<()> {
        let mut tx = self.ctx().db.begin(env).await?;
        let accounts = connected_accounts::count_of_connection(&mut tx, id).await?;
        if accounts > 0 {
            return Err(Error::ConnectionInUse(accounts));
        }
        if !connections::delete(&mut tx, id).await? {
            return Err(Error::ConnectionNotFound(id.to_string()));
        }
        record::audit(
            &mut tx,
            self.ctx(),
            actor,
            "connection.deleted",
            &id.to_string(),
        )
        .await?;
        tx.commit().await?;
        self.forget_all(env);
        Ok(())
    }

    /// The connection of an id.
    pub async fn connection(&self, env: EnvironmentId, id: ConnectionId) -> Result<Connection> {
        let row = connections::find(&mut self.ctx().db.read(env), id).await?;
        let row = row.ok_or_else(|| Error::ConnectionNotFound(id.to_string()))?;
        self.open_connection(env, row).await
    }

    /// The connection of a name (AK-102).
    pub async fn connection_named(&self, env: EnvironmentId, name: &str) -> Result<Connection> {
        let row = self
            .connection_row_named(&mut self.ctx().db.read(env), name)
            .await?;
        self.open_connection(env, row).await
    }

    /// As [`Self::connection_named`], without opening the secrets. A name that is no connection but
    /// a connector with exactly one enabled connection means that one (AK-102).
    pub(crate) async fn connection_row_named(
        &self,
        db: &mut impl Query,
        name: &str,
    ) -> Result<ConnectionRow> {
        if let Some(row) = connections::find_by_key_id(db, name).await? {
            return Ok(row);
        }
        let provider = name.to_ascii_uppercase();
        let enabled = connections::by_provider(db, &provider)
            .await?
            .into_iter()
            .filter(|row| row.enabled);
        let mut enabled: Vec<ConnectionRow> = enabled.collect();
        match (enabled.pop(), enabled.is_empty()) {
            (Some(only), true) => Ok(only),
            _ => Err(Error::ConnectionNotFound(name.to_owned())),
        }
    }

    /// Lists connections, oldest first.
    pub async fn list_connections(
        &self,
        env: EnvironmentId,
        filter: &ConnectionFilter,
        page: &PageRequest,
    ) -> Result<Page<Connection>> {
        let canonical = format!(
            "{}\n{}",
            filter.provider_key.as_deref().unwrap_or(""),
            filter.query.as_deref().unwrap_or("")
        );
        let scope = CursorScope {
            list: "connections",
            environment: env,
            filter: canonical.as_bytes(),
        };
        let window = Window::open(page, &self.ctx().keys.cursor, scope)?;
        let mut read = self.ctx().db.read(env);
        let rows = connections::list(&mut read, filter, &window).await?;
        let total = connections::count(&mut read, filter).await?;
        let rows = window.finish(rows, total, |row| (SortKey::Int(0), row.id.number()));
        let mut items = Vec::with_capacity(rows.items.len());
        for row in rows.items {
            items.push(self.open_connection(env, row).await?);
        }
        Ok(Page {
            items,
            next_page_token: rows.next_page_token,
            prev_page_token: rows.prev_page_token,
            total_size: rows.total_size,
        })
    }

    async fn save_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        mut connection: Connection,
        action: &'static str,
    ) -> Result<Connection> {
        connection.updated_at = self.ctx().clock.now();
        let row = self.connection_row(env, &connection).await?;
        let mut tx = self.ctx().db.begin(env).await?;
        let saved = connections::update(&mut tx, &row)
            .await
            .map_err(|error| name_taken(error, &connection.key_id))?;
        if !saved {
            return Err(Error::Conflict);
        }
        record::audit(
            &mut tx,
            self.ctx(),
            actor,
            action,
            &connection.id.to_string(),
        )
        .await?;
        tx.commit().await?;
        self.forget_all(env);
        connection.revision += 1;
        Ok(connection)
    }

    async fn default_name(&self, env: EnvironmentId, provider: &Provider) -> Result<String> {
        let mut read = self.ctx().db.read(env);
        if connections::find_by_key_id(&mut read, &provider.slug)
            .await?
            .is_none()
        {
            return Ok(provider.slug.clone());
        }
        let random = random_token(&*self.ctx().rng, "", 24);
        let suffix: String = random
            .expose()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(8)
            .collect();
        Ok(format!("{}-{suffix}", provider.slug))
    }

    async fn connection_row(
        &self,
        env: EnvironmentId,
        connection: &Connection,
    ) -> Result<ConnectionRow> {
        let connection = &connection.without_platform_app();
        let secrets = if connection.secrets.is_empty() {
            None
        } else {
            let plain = keystead_types::Secret::new(
                serde_json::to_vec(&connection.secrets).map_err(Internal::new)?,
            );
            let row = connection.id.to_string();
            let keyring = self.ctx().keyring(env).await?;
            let sealed = keyring.seal(&*self.ctx().rng, &place(env, &row), plain.expose());
            Some(sealed.map_err(Internal::new)?)
        };
        Ok(ConnectionRow {
            id: connection.id,
            key_id: connection.key_id.clone(),
            provider_key: connection.provider_key.clone(),
            kind: connection.kind.as_str().to_owned(),
            status: connection.status.as_str().to_owned(),
            enabled: connection.enabled,
            auth_mode: connection.auth_mode.as_str().to_owned(),
            settings: serde_json::to_value(&connection.settings).map_err(Internal::new)?,
            secrets,
            revision: connection.revision,
            created_at: connection.created_at,
            updated_at: connection.updated_at,
        })
    }

    pub(crate) async fn open_connection(
        &self,
        env: EnvironmentId,
        row: ConnectionRow,
    ) -> Result<Connection> {
        let secrets = match &row.secrets {
            None => ConnectionSecrets::default(),
            Some(sealed) => {
                let id = row.id.to_string();
                let opened = self
                    .ctx()
                    .keyring(env)
                    .await?
                    .open(&place(env, &id), sealed)
                    .map_err(Internal::new)?;
                serde_json::from_slice(opened.expose()).map_err(Internal::new)?
            }
        };
        let unknown =
            |what: &str| Internal::new(format!("connection {} has an unknown {what}", row.id));
        let mut connection = Connection {
            id: row.id,
            kind: AuthKind::parse(&row.kind).ok_or_else(|| unknown("kind"))?,
            status: ConnectionStatus::parse(&row.status).ok_or_else(|| unknown("status"))?,
            auth_mode: AuthMode::parse(&row.auth_mode).ok_or_else(|| unknown("auth mode"))?,
            settings: serde_json::from_value(row.settings).map_err(Internal::new)?,
            key_id: row.key_id,
            provider_key: row.provider_key,
            enabled: row.enabled,
            secrets,
            revision: row.revision,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        self.lend_platform_app(&mut connection);
        Ok(connection)
    }
}

impl Connection {
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

fn place(env: EnvironmentId, row: &str) -> Place<'_> {
    Place {
        environment: env,
        table: "connections",
        column: "secrets",
        row,
    }
}

/// Draft becomes completed (and switched on, unless the user said otherwise) as soon as nothing is
/// missing, and goes back when something is taken away.
fn complete(connection: &mut Connection, provider: &Provider) {
    let complete = connection.missing(provider).is_none();
    connection.status = if complete {
        ConnectionStatus::Completed
    } else {
        ConnectionStatus::Draft
    };
    connection.enabled = complete && !connection.settings.switched_off;
}

fn name_taken(error: keystead_store::StoreError, name: &str) -> Error {
    if error.is_unique_violation(KEY_ID_INDEX) {
        Error::ConnectionNameTaken(name.to_owned())
    } else {
        error.into()
    }
}

/// `[A-Za-z0-9_: -]`, 1 to 400 characters (AK-101).
fn checked_name(name: String) -> Result<String> {
    let legal = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_: -".contains(&byte));
    if legal && (1..=400).contains(&name.len()) && name.trim() == name {
        Ok(name)
    } else {
        Err(Error::field(
            "key_id",
            "must have 1 to 400 letters, digits, `_`, `:`, `-` or inner spaces",
        ))
    }
}

/// Fills `domain` and `version` of an MCP connector's URL at creation (AK-038).
fn resolve_context(provider: &Provider, context: &Map<String, Value>) -> Result<Option<String>> {
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
    let allowed = provider
        .auth_patterns
        .first()
        .map(|pattern| pattern.allowed_proxy_domains.as_slice());
    let host = url::Url::parse(&filled)
        .ok()
        .and_then(|url| url.host_str().map(ToOwned::to_owned))
        .unwrap_or_default();
    if let Some(allowed) = allowed.filter(|list| !list.is_empty())
        && !template::host_allowed(&host, allowed)
    {
        return Err(template::TemplateError::HostNotAllowed(host).into());
    }
    Ok(Some(filled))
}
