//! Creating and changing accounts (AK-201..AK-211).

use super::{
    Account, AccountKey, AccountStatus, CredentialInput, Grounds, ScopeSelection, Via,
    connection_scopes, destination::require_secrets_again, grounds::Derived, pattern_of,
};
use crate::{
    AgentKit, Error,
    connections::{AuthMode, test_run},
    error::Result,
    providers::{AuthKind, AuthPattern},
    record::{self, AccountEvent},
    vault::{Credential, Sealed},
};
use keystead_identity::Actor;
use keystead_store::{
    Tx,
    entities::{
        auth_links,
        connected_accounts::{self, AccountRow, LeaseRequest, NewCredential, OWNER_INDEX},
        sessions,
    },
};
use keystead_types::{ConnectedAccountId, EnvironmentId, Timestamp};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization;

/// A new account.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// Connection name.
    pub connector: String,
    /// The developer's name for the user.
    pub identifier: String,
    /// Organization or empty.
    pub organization_id: String,
    /// User or empty.
    pub user_id: String,
    /// Credential, if there is one already.
    pub credential: CredentialInput,
    /// Account settings.
    pub api_config: Map<String, Value>,
}

/// A change of an account.
#[derive(Clone, Debug, Default)]
pub struct AccountPatch {
    /// New credential.
    pub credential: CredentialInput,
    /// Merged key by key; null deletes (AK-211).
    pub api_config: Map<String, Value>,
    /// The user's choice of scopes (AK-307).
    pub scope_selection: Option<ScopeSelection>,
}

/// Largest `api_config`, as JSON (4.2).
const MAX_API_CONFIG: usize = 64 * 1024;
/// How often a change is tried that others keep overtaking.
const MAX_TRIES: usize = 50;

impl AgentKit {
    /// Creates an account; without a usable credential it waits for the user (AK-202).
    ///
    /// # Errors
    /// [`Error::ConnectionNotFound`], [`Error::AccountExists`], [`Error::AuthTypeMismatch`],
    /// [`Error::Invalid`].
    pub async fn create_account(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        new: NewAccount,
    ) -> Result<Arc<Grounds>> {
        if new.connector.is_empty() || new.identifier.is_empty() {
            return Err(Error::NoAddress);
        }
        let connection = self.connection_named(env, &new.connector).await?;
        let provider = self.provider(env, &connection.provider_key).await?;
        let pattern = pattern_of(&provider, connection.kind)?;
        check_api_config(&new.api_config)?;
        let absent = new.credential.is_absent();
        if connection.auth_mode == AuthMode::OrgWide && !absent {
            return Err(no_own_credential());
        }
        let credential = if absent {
            Credential::default()
        } else {
            new.credential
                .merged(&connection, &pattern, &Credential::default())?
        };
        let usable = connection.kind == AuthKind::NoAuth
            || (!absent && credential.is_usable(connection.kind));
        let now = self.ctx().clock.now();
        let id: ConnectedAccountId = self.ctx().ids.next(&*self.ctx().clock);
        let sealed = self.sealed(env, id, usable, &credential).await?;
        let status = if usable {
            AccountStatus::Active
        } else {
            AccountStatus::PendingAuth
        };
        let row = AccountRow {
            id,
            connection_id: connection.id,
            identifier: checked_identifier(&new.identifier)?,
            organization_id: new.organization_id,
            user_id: new.user_id,
            status: status.as_str().to_owned(),
            status_reason: String::new(),
            api_config: Value::Object(new.api_config),
            scope_selection: None,
            scopes: json!(credential.scopes),
            credential_version: i64::from(sealed.is_some()),
            credential: sealed,
            token_expires_at: None,
            refresh_due_at: first_refresh(&pattern, usable, now),
            refresh_not_before: None,
            refresh_failures: 0,
            lease_holder: None,
            lease_until: None,
            last_refreshed_at: None,
            last_used_at: None,
            is_org_wide: false,
            created_at: now,
            updated_at: now,
            pending_until: None,
        };
        let account = Account::from_row(&row, self.ctx().clock.now())?;
        let mut tx = self.ctx().db.begin(env).await?;
        connected_accounts::insert(&mut tx, &row)
            .await
            .map_err(|error| {
                if error.is_unique_violation(OWNER_INDEX) {
                    Error::AccountExists(account.identifier.clone())
                } else {
                    error.into()
                }
            })?;
        let ctx = self.ctx();
        record::account_event(
            &mut tx,
            ctx,
            AccountEvent::Created,
            &account,
            &connection,
            "",
        )
        .await?;
        record::audit(
            &mut tx,
            ctx,
            actor,
            "connected_account.created",
            &id.to_string(),
        )
        .await?;
        tx.commit().await?;
        self.snapshots().forget_address(env, &account.identifier);
        Ok(Arc::new(Grounds {
            environment: env,
            account,
            row,
            connection,
            provider,
            pattern,
            credential,
            shared: None,
            derived: Derived::default(),
        }))
    }

    /// Changes an account; a usable credential makes it active from any state (AK-211).
    ///
    /// # Errors
    /// Those of finding it, [`Error::AuthTypeMismatch`], [`Error::Invalid`],
    /// [`Error::SharedCredential`].
    pub async fn update_account(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        key: AccountKey,
        patch: AccountPatch,
    ) -> Result<Arc<Grounds>> {
        let key = key.normalised();
        let grounds = self.grounds(env, key.clone()).await?;
        self.require_consistent(env, &key, &grounds).await?;
        // SECURITY: whoever may write accounts must not steer the calls of all users.
        if grounds.account.is_org_wide {
            return Err(Error::SharedCredential("authorize it for the organization"));
        }
        if grounds.consents_only() && !patch.credential.is_absent() {
            return Err(no_own_credential());
        }
        self.change_account(env, actor, grounds, patch, Via::Api)
            .await
    }

    /// Changes an account; a link that brings a credential is used up in the same transaction.
    ///
    /// # Errors
    /// Those of [`Self::update_account`]; [`Error::AuthRequestNotFound`] when the link was used
    /// meanwhile; [`Error::Conflict`] when another process refreshes the grant.
    pub(crate) async fn change_account(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        mut grounds: Arc<Grounds>,
        patch: AccountPatch,
        via: Via,
    ) -> Result<Arc<Grounds>> {
        // A part of a grant is put over the rest of it, which a refresh may be changing now: what
        // was read before its end must not be written after it.
        let mut turn = if patch.credential.keeps_refresh_token() {
            let turn = self.flights().enter(grounds.account.id).await;
            grounds = self.grounds_of(env, grounds.account.id).await?;
            Some(turn)
        } else {
            None
        };
        let id = grounds.account.id;
        for _ in 0..MAX_TRIES {
            if self.try_change(env, actor, &grounds, &patch, via).await? {
                self.snapshots().forget(env, id);
                return self.grounds_of(env, id).await;
            }
            // Those who lost a race queue up, so that each gets through.
            if turn.is_none() {
                turn = Some(self.flights().enter(id).await);
            }
            grounds = self.grounds_of(env, id).await?;
        }
        Err(Error::Conflict)
    }

    /// Puts a patch over the account as it is in the transaction, so that no other change is lost.
    /// `false`, and nothing written, when the credential is not the one that was read.
    async fn try_change(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        grounds: &Grounds,
        patch: &AccountPatch,
        via: Via,
    ) -> Result<bool> {
        if let Via::Link(_) = via {
            require_secrets_again(grounds, patch)?;
        }
        let partial = patch.credential.keeps_refresh_token();
        let (ctx, id, now) = (self.ctx(), grounds.account.id, self.ctx().clock.now());
        let sealed = if patch.credential.is_absent() {
            None
        } else {
            let input = patch.credential.clone();
            let merged =
                input.merged(&grounds.connection, &grounds.pattern, &grounds.credential)?;
            Some(self.sealed_credential(grounds, &merged, now).await?)
        };
        let mut tx = ctx.db.begin(env).await?;
        if let Via::Link(link) = via {
            // SECURITY: a link works once, even when its form is sent twice at the same moment.
            if !auth_links::complete_link(&mut tx, link, now).await? {
                return Err(Error::AuthRequestNotFound);
            }
            test_run::passed(&mut tx, link, now).await?;
            void_flows(&mut tx, id, now).await?;
            // SECURITY: whoever else opened the link must not change what is connected now.
            sessions::end_portal_sessions(&mut tx, id).await?;
        }
        if sealed.is_some() {
            auth_links::drop_pending(&mut tx, id).await?;
        }
        let current = connected_accounts::lock(&mut tx, id)
            .await?
            .ok_or(Error::AccountNotFound)?;
        let current = Account::from_row(&current, now)?;
        let version = grounds.account.credential_version;
        // SECURITY: what a link may change was judged by the credential that was read.
        let judged = sealed.is_some() || matches!(via, Via::Link(_));
        if judged && current.credential_version != version {
            return Ok(false);
        }
        if partial {
            let lease = LeaseRequest {
                id,
                version,
                holder: self.holder(),
                until: now,
            };
            let free = connected_accounts::acquire_lease(&mut tx, &lease).await?
                || connected_accounts::take_over_lease(&mut tx, &lease, now).await?;
            if !free {
                return Err(Error::Conflict);
            }
        }
        let api_config = merged_config(&current.api_config, patch.api_config.clone());
        check_api_config(&api_config)?;
        let selection = match &patch.scope_selection {
            Some(selection) => Some(checked_selection(grounds, selection.clone())?),
            None => current.scope_selection.clone(),
        };
        let selection = selection.map(|selection| json!(selection));
        let api_config = Value::Object(api_config);
        connected_accounts::set_config(&mut tx, id, &api_config, selection.as_ref(), now).await?;
        let (mut before, mut account) = (current.status, current);
        if let Some(sealed) = sealed {
            connected_accounts::set_credential(&mut tx, id, &sealed, now).await?;
            // As it was before a waiting grant was dropped.
            before = grounds.account.status;
            account.status = AccountStatus::Active;
        }
        let connection = &grounds.connection;
        let event = AccountEvent::Updated;
        record::account_event(&mut tx, ctx, event, &account, connection, "").await?;
        record::status_change(&mut tx, ctx, &account, connection, before).await?;
        let action = "connected_account.updated";
        record::audit(&mut tx, ctx, actor, action, &id.to_string()).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The account with its credential, refreshed when it is due (AK-205). Audited.
    ///
    /// # Errors
    /// Those of finding it; [`Error::ProviderUnavailable`] when the token is dead and the provider
    /// cannot be asked.
    pub async fn read_credential(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        key: AccountKey,
    ) -> Result<Arc<Grounds>> {
        let grounds = self.grounds(env, key).await?;
        if grounds.account.is_org_wide {
            return Err(Error::SharedCredential("name the account of a user"));
        }
        let grounds = match grounds.require_active() {
            Ok(()) => match self.acting_fresh(&grounds).await {
                Ok(fresh) => fresh,
                // The state is part of the answer.
                Err(Error::AccountNotActive { .. }) => {
                    self.grounds_of(env, grounds.account.id).await?
                }
                Err(other) => return Err(other),
            },
            Err(_) => grounds,
        };
        let mut tx = self.ctx().db.begin(env).await?;
        let target = grounds.account.id.to_string();
        record::audit(
            &mut tx,
            self.ctx(),
            actor,
            "connected_account.credential_read",
            &target,
        )
        .await?;
        tx.commit().await?;
        Ok(grounds)
    }

    /// On writes the other keys must not contradict the id (AK-207).
    pub(crate) async fn require_consistent(
        &self,
        env: EnvironmentId,
        key: &AccountKey,
        grounds: &Grounds,
    ) -> Result<()> {
        if key.id.is_none() {
            return Ok(());
        }
        let account = &grounds.account;
        let differs = |sent: &Option<String>, stored: &str| {
            sent.as_deref().is_some_and(|sent| sent != stored)
        };
        let mut contradiction = differs(&key.identifier, &account.identifier)
            || differs(&key.organization_id, &account.organization_id)
            || differs(&key.user_id, &account.user_id);
        if let Some(name) = &key.connector {
            contradiction |= self.connection_named(env, name).await?.id != account.connection_id;
        }
        if contradiction {
            return Err(Error::field(
                "id",
                "names another account than the other fields",
            ));
        }
        Ok(())
    }

    /// Seals a credential that came from outside a refresh.
    pub(crate) async fn sealed_credential(
        &self,
        grounds: &Grounds,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<NewCredential> {
        self.sealed_grant(grounds, credential, None, now).await
    }

    /// Seals a credential with the end of its access token.
    pub(crate) async fn sealed_grant(
        &self,
        grounds: &Grounds,
        credential: &Credential,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<NewCredential> {
        let (env, id) = (grounds.environment, grounds.account.id);
        let due = grounds
            .refresh_due(now, expires_at, credential)
            .or_else(|| first_refresh(&grounds.pattern, expires_at.is_none(), now));
        Ok(NewCredential {
            status: AccountStatus::Active.as_str().to_owned(),
            scopes: json!(credential.scopes),
            sealed: self.sealed(env, id, true, credential).await?,
            expires_at,
            refresh_due_at: due,
        })
    }

    async fn sealed(
        &self,
        env: EnvironmentId,
        id: ConnectedAccountId,
        usable: bool,
        credential: &Credential,
    ) -> Result<Option<Vec<u8>>> {
        if !usable {
            return Ok(None);
        }
        Ok(Some(
            self.seal(env, Sealed::Account(&id.to_string()), credential)
                .await?,
        ))
    }
}

/// The users of the connection share one (AK-241).
fn no_own_credential() -> Error {
    Error::field(
        "authorization_details",
        "cannot be stored: the users of the connection share one credential (ORG_WIDE)",
    )
}

/// Merges key by key; null deletes (AK-211).
pub(crate) fn merged_config(
    stored: &Map<String, Value>,
    patch: Map<String, Value>,
) -> Map<String, Value> {
    let mut merged = stored.clone();
    for (name, value) in patch {
        if value.is_null() {
            merged.remove(&name);
        } else {
            merged.insert(name, value);
        }
    }
    merged
}

/// Ends every link and waiting grant of an account.
pub(super) async fn void_flows(tx: &mut Tx, id: ConnectedAccountId, now: Timestamp) -> Result<()> {
    auth_links::complete_links(tx, id, now).await?;
    auth_links::drop_pending(tx, id).await?;
    Ok(())
}

/// Tokens that are minted have none at first.
fn first_refresh(pattern: &AuthPattern, usable: bool, now: Timestamp) -> Option<Timestamp> {
    (usable && pattern.is_minted()).then_some(now)
}

/// The scopes a user chose must be among those of the connection (AK-307).
pub(crate) fn checked_selection(
    grounds: &Grounds,
    mut selection: ScopeSelection,
) -> Result<ScopeSelection> {
    let settings = &grounds.connection.settings;
    let scopes = connection_scopes(&grounds.connection, &grounds.pattern);
    let optional = settings
        .optional_scopes
        .as_ref()
        .map(|optional| optional.scopes.as_slice())
        .unwrap_or_default();
    if let Some(outside) = selection
        .scopes
        .iter()
        .find(|scope| !scopes.contains(scope))
    {
        return Err(Error::field(
            "scope_selection.scopes",
            &format!("`{outside}` is not a scope of the connection"),
        ));
    }
    if let Some(outside) = selection
        .optional_scopes
        .iter()
        .find(|scope| !optional.contains(scope))
    {
        return Err(Error::field(
            "scope_selection.optional_scopes",
            &format!("`{outside}` is not an optional scope of the connection"),
        ));
    }
    for scope in &settings.required_scopes {
        if !selection.scopes.contains(scope) {
            selection.scopes.push(scope.clone());
        }
    }
    for scope in &settings.required_optional_scopes {
        if !selection.optional_scopes.contains(scope) {
            selection.optional_scopes.push(scope.clone());
        }
    }
    Ok(selection)
}

/// Identifiers are opaque: NFC, no whitespace around, no control characters (4.2).
pub(crate) fn checked_identifier(identifier: &str) -> Result<String> {
    let refuse = |why| Err(Error::field("identifier", why));
    if identifier.trim() != identifier {
        return refuse("must not begin or end with white space");
    }
    if identifier.chars().any(char::is_control) {
        return refuse("must not hold tabs, line breaks or other control characters");
    }
    Ok(identifier.nfc().collect())
}

pub(crate) fn check_api_config(api_config: &Map<String, Value>) -> Result<()> {
    let size = serde_json::to_vec(api_config).map_or(usize::MAX, |bytes| bytes.len());
    if size > MAX_API_CONFIG {
        return Err(Error::field("api_config", "must be at most 64 kB"));
    }
    Ok(())
}
