//! Looking connectors up, and the developer's own (AK-014..AK-020).

use super::{
    AuthKind, AuthPattern, Provider, check_proxy_url, identifier, name_key, parse_patterns,
};
use crate::{AgentKit, Error, error::Result, record};
use keystead_crypto::CursorScope;
use keystead_identity::Actor;
use keystead_store::entities::{
    connections,
    custom_providers::{self, CustomProvider, NAME_INDEX},
};
use keystead_types::{EnvironmentId, FieldViolation, Id, Page, PageRequest, ToolCallId};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Which connectors a list holds (AK-015).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProviderFilter {
    /// Built in.
    BuiltIn,
    /// Made in this environment.
    Custom,
    /// Both.
    All,
}

/// A new connector of the developer.
#[derive(Clone, Debug)]
pub struct CustomProviderInput {
    /// Name for people, unique in the environment.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Auth patterns, JSON list.
    pub auth_patterns: Value,
    /// Base URL.
    pub proxy_url: String,
    /// Whether raw calls may be proxied.
    pub proxy_enabled: bool,
    /// Icon.
    pub icon_src: String,
    /// Free pairs.
    pub metadata: BTreeMap<String, String>,
}

/// A change of a connector; `None` keeps the value (AK-019).
#[derive(Clone, Debug)]
pub struct CustomProviderPatch {
    /// Name for people.
    pub display_name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Replaces all auth patterns.
    pub auth_patterns: Option<Value>,
    /// Base URL.
    pub proxy_url: String,
    /// Whether raw calls may be proxied.
    pub proxy_enabled: Option<bool>,
    /// Icon.
    pub icon_src: Option<String>,
    /// Replaces all pairs.
    pub metadata: Option<BTreeMap<String, String>>,
}

impl AgentKit {
    /// The connector of a key: built in, or made in this environment.
    pub async fn find_provider(
        &self,
        env: EnvironmentId,
        key: &str,
    ) -> Result<Option<Arc<Provider>>> {
        if !key.contains(':') {
            return Ok(self.catalogue().find(key).cloned());
        }
        let row = custom_providers::find(&mut self.ctx().db.read(env), key).await?;
        row.map(|row| from_row(&row).map(Arc::new)).transpose()
    }

    /// As [`Self::find_provider`], an error if absent.
    pub async fn provider(&self, env: EnvironmentId, key: &str) -> Result<Arc<Provider>> {
        self.find_provider(env, key)
            .await?
            .ok_or_else(|| Error::ProviderNotFound(key.to_owned()))
    }

    /// Lists connectors, the developer's own first (AK-015).
    pub async fn list_providers(
        &self,
        env: EnvironmentId,
        filter: ProviderFilter,
        identifier: &str,
        page: &PageRequest,
    ) -> Result<Page<Arc<Provider>>> {
        let mut all = Vec::new();
        if filter != ProviderFilter::BuiltIn {
            for row in custom_providers::list(&mut self.ctx().db.read(env)).await? {
                all.push(Arc::new(from_row(&row)?));
            }
        }
        if filter != ProviderFilter::Custom {
            all.extend(self.catalogue().all());
        }
        if !identifier.is_empty() {
            all.retain(|provider| provider.identifier == identifier);
        }
        // A page token belongs to the very same list.
        self.page_of(env, all, &format!("{filter:?}\n{identifier}"), page)
    }

    /// A page of a list that is short and in memory: the cursor is the place in it.
    fn page_of(
        &self,
        env: EnvironmentId,
        all: Vec<Arc<Provider>>,
        filter: &str,
        page: &PageRequest,
    ) -> Result<Page<Arc<Provider>>> {
        let scope = CursorScope {
            list: "providers",
            environment: env,
            filter: filter.as_bytes(),
        };
        let tokens = &self.ctx().keys.cursor;
        let start = if page.token.is_empty() {
            0
        } else {
            let bytes = tokens
                .open(&scope, &page.token)
                .map_err(|_| Error::PageToken)?;
            let bytes: [u8; 8] = bytes.try_into().map_err(|_| Error::PageToken)?;
            usize::try_from(u64::from_be_bytes(bytes)).map_err(|_| Error::PageToken)?
        };
        let size = usize::try_from(page.size.get()).unwrap_or(usize::MAX);
        let total = all.len();
        let token = |at: usize| tokens.seal(&scope, &(at as u64).to_be_bytes());
        let next = start.saturating_add(size);
        Ok(Page {
            items: all.into_iter().skip(start).take(size).collect(),
            next_page_token: if next < total {
                token(next)
            } else {
                String::new()
            },
            prev_page_token: if start > 0 {
                token(start.saturating_sub(size))
            } else {
                String::new()
            },
            total_size: total as u64,
        })
    }

    /// Adds a connector; never contacts the provider (AK-018).
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::ProviderNameTaken`].
    pub async fn create_custom_provider(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        input: CustomProviderInput,
    ) -> Result<Provider> {
        let auth_patterns = self.checked(&input.proxy_url, &input.auth_patterns)?;
        let now = self.ctx().clock.now();
        let suffix = self
            .ctx()
            .ids
            .next::<ToolCallId>(&*self.ctx().clock)
            .number();
        let provider = Provider {
            identifier: identifier(&input.display_name, suffix),
            slug: slug(&input.display_name),
            display_name: input.display_name,
            description: input.description,
            categories: Vec::new(),
            auth_patterns,
            icon_src: input.icon_src,
            display_priority: 0,
            proxy_url: input.proxy_url,
            proxy_enabled: input.proxy_enabled,
            is_custom: true,
            metadata: input.metadata,
        };
        let row = to_row(&provider, now, now);
        let mut tx = self.ctx().db.begin(env).await?;
        custom_providers::insert(&mut tx, &row)
            .await
            .map_err(|error| name_taken(error, &provider.display_name))?;
        record::audit(
            &mut tx,
            self.ctx(),
            actor,
            "provider.created",
            &provider.identifier,
        )
        .await?;
        tx.commit().await?;
        Ok(provider)
    }

    /// Changes a connector (AK-019).
    ///
    /// # Errors
    /// [`Error::ProviderNotFound`], [`Error::Invalid`], [`Error::ProviderNameTaken`],
    /// [`Error::AuthTypeInUse`].
    pub async fn update_custom_provider(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        identifier: &str,
        patch: CustomProviderPatch,
    ) -> Result<Provider> {
        check_proxy_url(&patch.proxy_url, self.dev_mode()).map_err(|v| Error::Invalid(vec![v]))?;
        let patterns = patch
            .auth_patterns
            .as_ref()
            .map(parse_patterns)
            .transpose()
            .map_err(Error::Invalid)?;
        let mut tx = self.ctx().db.begin(env).await?;
        let old = custom_providers::lock(&mut tx, identifier)
            .await?
            .ok_or_else(|| Error::ProviderNotFound(identifier.to_owned()))?;
        let mut provider = from_row(&old)?;
        provider.display_name = patch.display_name;
        provider.proxy_url = patch.proxy_url;
        if let Some(description) = patch.description {
            provider.description = description;
        }
        if let Some(patterns) = patterns {
            provider.auth_patterns = patterns;
            // Accounts of a connection that the connector does not fit any more cannot be used.
            let used = connections::kinds_of_provider(&mut tx, identifier).await?;
            let offered =
                |kind: &str| AuthKind::parse(kind).and_then(|kind| provider.pattern(kind));
            if let Some(lost) = used.into_iter().find(|used| offered(&used.kind).is_none()) {
                return Err(Error::AuthTypeInUse {
                    kind: lost.kind,
                    connection: lost.key_id,
                });
            }
        }
        if let Some(enabled) = patch.proxy_enabled {
            provider.proxy_enabled = enabled;
        }
        if let Some(icon) = patch.icon_src {
            provider.icon_src = icon;
        }
        if let Some(metadata) = patch.metadata {
            provider.metadata = metadata;
        }
        let row = to_row(&provider, old.created_at, self.ctx().clock.now());
        custom_providers::update(&mut tx, &row)
            .await
            .map_err(|error| name_taken(error, &provider.display_name))?;
        record::audit(&mut tx, self.ctx(), actor, "provider.updated", identifier).await?;
        tx.commit().await?;
        self.forget_all(env);
        Ok(provider)
    }

    /// Removes a connector that nothing uses (AK-020).
    ///
    /// # Errors
    /// [`Error::ProviderNotFound`], [`Error::ProviderInUse`].
    pub async fn delete_custom_provider(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        identifier: &str,
    ) -> Result<()> {
        let mut tx = self.ctx().db.begin(env).await?;
        // First, so that whoever makes a connection with it meanwhile waits for the commit.
        if !custom_providers::delete(&mut tx, identifier).await? {
            return Err(Error::ProviderNotFound(identifier.to_owned()));
        }
        let users = connections::by_provider(&mut tx, identifier).await?;
        if !users.is_empty() {
            let names: Vec<&str> = users
                .iter()
                .map(|row| row.key_id.as_str())
                .take(10)
                .collect();
            return Err(Error::ProviderInUse(names.join(", ")));
        }
        record::audit(&mut tx, self.ctx(), actor, "provider.deleted", identifier).await?;
        tx.commit().await?;
        Ok(())
    }

    fn checked(&self, proxy_url: &str, patterns: &Value) -> Result<Vec<AuthPattern>> {
        let mut violations: Vec<FieldViolation> = Vec::new();
        if let Err(violation) = check_proxy_url(proxy_url, self.dev_mode()) {
            violations.push(violation);
        }
        match parse_patterns(patterns) {
            Ok(parsed) if violations.is_empty() => return Ok(parsed),
            Ok(_) => {}
            Err(more) => violations.extend(more),
        }
        Err(Error::Invalid(violations))
    }
}

fn name_taken(error: keystead_store::StoreError, name: &str) -> Error {
    if error.is_unique_violation(NAME_INDEX) {
        Error::ProviderNameTaken(name.to_owned())
    } else {
        error.into()
    }
}

/// Lower-case letters and digits of a name.
fn slug(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase()
}

fn to_row(
    provider: &Provider,
    created_at: keystead_types::Timestamp,
    updated_at: keystead_types::Timestamp,
) -> CustomProvider {
    CustomProvider {
        identifier: provider.identifier.clone(),
        name_key: name_key(&provider.display_name),
        display_name: provider.display_name.clone(),
        document: json!({
            "description": provider.description,
            "auth_patterns": provider.auth_patterns,
            "icon_src": provider.icon_src,
            "metadata": provider.metadata,
        }),
        proxy_url: provider.proxy_url.clone(),
        proxy_enabled: provider.proxy_enabled,
        created_at,
        updated_at,
    }
}

/// The connector of a row.
pub(crate) fn from_row(row: &CustomProvider) -> Result<Provider> {
    let broken = |error: serde_json::Error| keystead_types::Internal::new(error);
    let part = |name: &str| row.document.get(name).cloned().unwrap_or_default();
    Ok(Provider {
        identifier: row.identifier.clone(),
        slug: slug(&row.display_name),
        display_name: row.display_name.clone(),
        description: part("description").as_str().unwrap_or_default().to_owned(),
        categories: Vec::new(),
        auth_patterns: serde_json::from_value(part("auth_patterns")).map_err(broken)?,
        icon_src: part("icon_src").as_str().unwrap_or_default().to_owned(),
        display_priority: 0,
        proxy_url: row.proxy_url.clone(),
        proxy_enabled: row.proxy_enabled,
        is_custom: true,
        metadata: serde_json::from_value(part("metadata")).map_err(broken)?,
    })
}
