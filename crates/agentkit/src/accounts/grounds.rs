//! Everything a call with an account stands on: account, connection, connector, credential.

use super::{Account, AccountStatus};
use crate::{
    AgentKit, Error,
    connections::{AuthMode, Connection, RateLimit, RequestPolicy, SmartSettings},
    error::Result,
    providers::{AuthKind, AuthPattern, PostAuthHook, Provider},
    template::{self, Values},
    vault::{Credential, Force},
};
use keystead_oauth::TokenPaths;
use keystead_store::entities::connected_accounts::{self, AccountRow};
use keystead_types::{ConnectedAccountId, EnvironmentId, Timestamp};
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// One account with all that decides how a call is made.
#[derive(Clone)]
pub struct Grounds {
    /// Environment.
    pub environment: EnvironmentId,
    /// Account.
    pub account: Account,
    /// Its row, for what only the vault looks at.
    pub(crate) row: AccountRow,
    /// Connection.
    pub connection: Connection,
    /// Connector.
    pub provider: Arc<Provider>,
    /// How the connection authenticates.
    pub pattern: AuthPattern,
    /// Opened credential.
    pub credential: Credential,
    /// The account whose credential acts for this one, when users share one (AK-241).
    pub(crate) shared: Option<ConnectedAccountId>,
    /// Worked out once, since the same grounds serve many calls.
    pub(crate) derived: Derived,
}

/// What follows from grounds alone.
#[derive(Default)]
pub(crate) struct Derived {
    values: OnceLock<Values>,
    policy: OnceLock<RequestPolicy>,
    connection_limit: OnceLock<Option<RateLimit>>,
    fixed_headers: OnceLock<Vec<(String, String)>>,
}

/// Copies are made to be changed: what followed from the original does not follow from them.
impl Clone for Derived {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Grounds {
    /// How calls are made: the connection's settings, lowered by the account's.
    pub(crate) fn policy(&self) -> &RequestPolicy {
        let settings = &self.connection.settings;
        self.derived
            .policy
            .get_or_init(|| RequestPolicy::of(settings, &self.account.api_config))
    }

    /// The rate limit of the connection alone.
    pub(crate) fn connection_limit(&self) -> Option<RateLimit> {
        let settings = &self.connection.settings;
        *self
            .derived
            .connection_limit
            .get_or_init(|| RequestPolicy::of(settings, &Map::new()).rate_limit)
    }

    /// Templates of the headers that every call of the connector or connection has.
    pub(crate) fn fixed_headers(&self) -> &[(String, String)] {
        self.derived.fixed_headers.get_or_init(|| {
            // The connector's own come first: they are what its API demands.
            let own = self.provider.default_headers().into_iter();
            own.chain(self.policy().base_headers.clone()).collect()
        })
    }

    /// The state without regard to a grant that waits for verification.
    pub(crate) fn own_status(&self) -> AccountStatus {
        AccountStatus::parse(&self.row.status).unwrap_or(self.account.status)
    }

    /// # Errors
    /// [`Error::ConnectionDisabled`], [`Error::AccountNotActive`].
    pub(crate) fn require_active(&self) -> Result<()> {
        self.connection.require_usable(&self.provider)?;
        // Until a new consent is verified the old credential stays in use, if it was (AK-323).
        if self.own_status() == AccountStatus::Active {
            Ok(())
        } else {
            Err(self.not_active(self.account.status))
        }
    }

    /// The account after a change of its own state, which a waiting grant hides until it is verified
    /// or lapses.
    pub(crate) fn account_in(&self, status: AccountStatus) -> Account {
        let mut account = self.account.clone();
        if account.status != AccountStatus::PendingVerification {
            account.status = status;
        }
        account
    }

    /// As [`Self::require_active`]; an expired account may try its refresh token again (AK-225).
    ///
    /// # Errors
    /// [`Error::ConnectionDisabled`], [`Error::AccountNotActive`].
    pub(crate) fn require_refreshable(&self) -> Result<()> {
        if self.own_status() == AccountStatus::Expired {
            self.connection.require_usable(&self.provider)
        } else {
            self.require_active()
        }
    }

    /// The error of an account that cannot be used.
    pub(crate) fn not_active(&self, status: AccountStatus) -> Error {
        Error::AccountNotActive {
            status: status.as_str(),
            reason: self.account.status_reason.clone(),
        }
    }

    /// Whether new access tokens can be had without the user.
    pub(crate) fn is_refreshable(&self) -> bool {
        self.pattern.is_minted() || !self.credential.refresh_token.is_empty()
    }

    /// Whether the credential is a token that ends, not one that was typed in.
    pub(crate) fn credential_ends(&self) -> bool {
        self.connection.kind.is_redirect() || self.pattern.is_minted()
    }

    /// Whether the access token can be used now.
    pub(crate) fn token_is_live(&self, now: Timestamp) -> bool {
        !self.credential.access_token.is_empty()
            && self.account.token_expires_at.is_none_or(|end| end > now)
    }

    /// Whether a refresh should be made before use.
    pub(crate) fn needs_refresh(&self, now: Timestamp, force: Force) -> bool {
        if !self.is_refreshable() {
            return false;
        }
        match force {
            Force::Version(version) | Force::Asked(version) => {
                self.account.credential_version == version
            }
            Force::IfDue => {
                let automatic = self.pattern.is_minted() || self.connection.auto_refresh();
                let due = self.row.refresh_due_at.is_some_and(|due| due <= now);
                automatic && (due || !self.token_is_live(now))
            }
        }
    }

    /// Whether a refresh token that may have been sent already may be sent again without the
    /// provider taking it for theft.
    pub(crate) fn may_send_again(&self) -> bool {
        self.pattern.is_minted() || self.credential.rotates == Some(false)
    }

    /// When the background job should refresh a token that ends at `expires_at`: the buffer
    /// before, and never earlier than half its life.
    pub(crate) fn refresh_due(
        &self,
        now: Timestamp,
        expires_at: Option<Timestamp>,
        credential: &Credential,
    ) -> Option<Timestamp> {
        refresh_due(&self.connection, &self.pattern, now, expires_at, credential)
    }

    /// Where the provider takes refreshes.
    pub(crate) fn refresh_endpoint(&self) -> Option<String> {
        let oauth = self.pattern.oauth_config.as_ref();
        oauth
            .and_then(|oauth| oauth.refresh_uri.clone())
            .or_else(|| {
                self.connection
                    .token_uri(Some(&self.pattern))
                    .map(ToOwned::to_owned)
            })
    }

    /// Where the provider's token response keeps its values.
    pub(crate) fn token_paths(&self) -> TokenPaths {
        token_paths(&self.pattern)
    }

    /// Form fields some providers want with a refresh.
    pub(crate) fn refresh_parameters(&self, redirect_uri: &str) -> Vec<(String, String)> {
        let mut extra = Vec::new();
        if self.provider.identifier == "GITLAB" {
            extra.push(("redirect_uri".to_owned(), redirect_uri.to_owned()));
        }
        if self.pattern.is_mcp {
            extra.push(("resource".to_owned(), self.base_url().into_owned()));
        }
        extra
    }

    /// Scopes the user chose, or all of the connection (AK-307).
    pub(crate) fn wanted_scopes(&self) -> Vec<String> {
        wanted_scopes(&self.connection, &self.pattern, &self.account)
    }

    /// Base URL template of calls. A SMART on FHIR connection names the server itself (AK-124).
    pub(crate) fn base_url(&self) -> Cow<'_, str> {
        let settings = &self.connection.settings;
        if let Some(url) = settings.smart.as_ref().and_then(SmartSettings::base_url) {
            return url.into();
        }
        let resolved = settings.resolved_proxy_url.as_deref();
        resolved
            .or_else(|| {
                let own = settings.base_url();
                own.filter(|_| self.connection.kind == AuthKind::ApiKey)
            })
            .unwrap_or(&self.provider.proxy_url)
            .into()
    }

    /// Values for URL and header templates (AK-012): the developer's settings win over what the
    /// user typed in, and that over what the grant named.
    pub(crate) fn template_values(&self) -> &Values {
        self.derived
            .values
            .get_or_init(|| self.template_values_with(&self.account.api_config))
    }

    /// As [`Self::template_values`], with other settings of the developer.
    pub(crate) fn template_values_with(&self, api_config: &Map<String, Value>) -> Values {
        let mut domain = Map::new();
        if !self.credential.domain.is_empty() {
            domain.insert(
                "domain".to_owned(),
                Value::String(self.credential.domain.clone()),
            );
        }
        let mut defaults = Map::new();
        for field in self
            .pattern
            .fields
            .iter()
            .chain(&self.pattern.account_fields)
        {
            if let Some(option) = field.options.iter().find(|option| option.default) {
                defaults.insert(
                    field.field_name.clone(),
                    Value::String(option.value.clone()),
                );
            }
        }
        template::values_of(&[&defaults, &domain, &self.credential.details, api_config])
    }
}

fn offered_scopes(pattern: &AuthPattern) -> &[crate::providers::Scope] {
    let oauth = pattern.oauth_config.as_ref();
    oauth
        .map(|oauth| oauth.available_scopes.as_slice())
        .unwrap_or_default()
}

/// The scopes of a connection: those configured, or all of the connector.
pub(crate) fn connection_scopes(connection: &Connection, pattern: &AuthPattern) -> Vec<String> {
    let configured = match &connection.settings.google_dwd {
        Some(dwd) => &dwd.scopes,
        None => &connection.settings.scopes,
    };
    if configured.is_empty() {
        offered_scopes(pattern)
            .iter()
            .map(|scope| scope.scope.clone())
            .collect()
    } else {
        configured.clone()
    }
}

/// The scopes that a consent asks for.
pub(crate) fn wanted_scopes(
    connection: &Connection,
    pattern: &AuthPattern,
    account: &Account,
) -> Vec<String> {
    let offered = offered_scopes(pattern);
    let all = connection_scopes(connection, pattern);
    let Some(selection) = &account.scope_selection else {
        return with_required(all, connection, offered);
    };
    let chosen = all
        .into_iter()
        .filter(|scope| selection.scopes.contains(scope))
        .collect();
    with_required(chosen, connection, offered)
}

/// Scopes required by the provider or the connection are always asked for (AK-110).
fn with_required(
    mut scopes: Vec<String>,
    connection: &Connection,
    offered: &[crate::providers::Scope],
) -> Vec<String> {
    let by_provider = offered
        .iter()
        .filter(|scope| scope.required)
        .map(|scope| &scope.scope);
    for scope in by_provider.chain(&connection.settings.required_scopes) {
        if !scopes.contains(scope) {
            scopes.push(scope.clone());
        }
    }
    scopes
}

/// When a token should be refreshed; `None` when it cannot or need not be.
fn refresh_due(
    connection: &Connection,
    pattern: &AuthPattern,
    now: Timestamp,
    expires_at: Option<Timestamp>,
    credential: &Credential,
) -> Option<Timestamp> {
    let end = expires_at?;
    let refreshable =
        pattern.is_minted() || (!credential.refresh_token.is_empty() && connection.auto_refresh());
    if !refreshable {
        return None;
    }
    let half_life =
        Duration::from_micros(u64::try_from(end.since(now).as_micros() / 2).unwrap_or(u64::MAX));
    Some(end.minus(connection.refresh_buffer().min(half_life)))
}

/// Where a pattern's token response keeps its values.
pub(crate) fn token_paths(pattern: &AuthPattern) -> TokenPaths {
    let mut paths = TokenPaths::default();
    let Some(oauth) = &pattern.oauth_config else {
        return paths;
    };
    if let Some(own) = &oauth.token_paths {
        for (target, source) in [
            (&mut paths.access_token, &own.access_token),
            (&mut paths.refresh_token, &own.refresh_token),
            (&mut paths.expires_in, &own.expires_in),
            (&mut paths.scope, &own.scope),
        ] {
            if let Some(path) = source {
                target.clone_from(path);
            }
        }
    }
    match oauth.post_auth {
        Some(PostAuthHook::SalesforceInstance) => paths.other.push("instance_url".to_owned()),
        Some(PostAuthHook::PipedriveApiDomain) => paths.other.push("api_domain".to_owned()),
        Some(PostAuthHook::GongApiHost) => paths.other.push("api_base_url_for_customer".to_owned()),
        _ => {}
    }
    paths
}

impl AgentKit {
    /// Reads everything about an account afresh.
    pub(crate) async fn grounds_of(
        &self,
        env: EnvironmentId,
        id: ConnectedAccountId,
    ) -> Result<Arc<Grounds>> {
        let row = connected_accounts::find(&mut self.ctx().db.read(env), id).await?;
        self.grounds_from(env, row.ok_or(Error::AccountNotFound)?)
            .await
    }

    /// Reads what belongs to an account's row.
    pub(crate) async fn grounds_from(
        &self,
        env: EnvironmentId,
        row: AccountRow,
    ) -> Result<Arc<Grounds>> {
        let connection = self.connection(env, row.connection_id).await?;
        let provider = self.provider(env, &connection.provider_key).await?;
        let pattern = connection.presented(pattern_of(&provider, connection.kind)?);
        let id = row.id.to_string();
        let credential = self
            .open_credential(env, &id, row.credential.as_deref())
            .await?;
        let shared = if connection.auth_mode == AuthMode::OrgWide && !row.is_org_wide {
            self.find_org_wide(env, connection.id).await?
        } else {
            None
        };
        Ok(Arc::new(Grounds {
            environment: env,
            account: Account::from_row(&row, self.ctx().clock.now())?,
            row,
            connection,
            provider,
            pattern,
            credential,
            shared,
            derived: Derived::default(),
        }))
    }
}

/// The pattern of a connection's kind.
pub(crate) fn pattern_of(provider: &Provider, kind: AuthKind) -> Result<AuthPattern> {
    provider.pattern(kind).cloned().ok_or_else(|| {
        Error::field(
            "type",
            "the provider no longer offers this kind of authentication",
        )
    })
}
