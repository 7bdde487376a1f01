//! Changing accounts (AK-211).

use super::{
    Account, AccountKey, AccountStatus, CredentialInput, Grounds, ScopeSelection, Via,
    api_config::{check_api_config, merged_config},
    credential::no_own_credential,
    destination::require_secrets_again,
    own_status,
    scope_selection::checked_selection,
};
use crate::{
    AgentKit, Error,
    connections::test_run,
    error::Result,
    record::{self, AccountEvent},
};
use keystead_identity::Actor;
use keystead_store::{
    Tx,
    entities::{
        auth_links::{self, PendingGrantRow},
        connected_accounts::{self, AccountRow},
        sessions,
    },
};
use keystead_types::{ConnectedAccountId, EnvironmentId, Timestamp};
use serde_json::{Map, Value, json};
use std::sync::Arc;

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

/// How often a change is tried that others keep overtaking.
const MAX_TRIES: usize = 50;

impl AgentKit {
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
        self.require_consistent(env, &key, &grounds.account).await?;
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
            if let Some(dropped) = self.try_change(env, actor, &grounds, &patch, via).await? {
                self.snapshots().forget(env, id);
                self.revoke_dropped(&grounds, &dropped).await;
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
    /// Gives the waiting grants that this ended; `None`, and nothing written, when the credential is
    /// not the one that was read.
    async fn try_change(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        grounds: &Grounds,
        patch: &AccountPatch,
        via: Via,
    ) -> Result<Option<Vec<PendingGrantRow>>> {
        if let Via::Link(_) = via {
            require_secrets_again(grounds, patch)?;
        }
        let partial = patch.credential.keeps_refresh_token();
        let (ctx, id, now) = (self.ctx(), grounds.account.id, self.ctx().clock.now());
        let sealed = if patch.credential.is_absent() {
            None
        } else {
            let input = patch.credential.clone();
            let mut merged =
                input.merged(&grounds.connection, &grounds.pattern, &grounds.credential)?;
            // The holder of the lease died: the refresh token may have been spent (ADR 0002).
            if partial && grounds.row.lease_holder.is_some() && !grounds.may_send_again() {
                merged.refresh_token.clear();
            }
            Some(self.sealed_credential(grounds, &merged, now).await?)
        };
        let mut tx = ctx.db.begin(env).await?;
        let row = connected_accounts::lock(&mut tx, id).await?;
        let row = row.ok_or(match via {
            Via::Api => Error::AccountNotFound,
            Via::Link(_) => Error::AuthRequestNotFound,
        })?;
        let current = Account::from_row(&row, now)?;
        let version = grounds.account.credential_version;
        // SECURITY: what a link may change was judged by the credential that was read.
        let judged = sealed.is_some() || matches!(via, Via::Link(_));
        if judged && current.credential_version != version {
            return Ok(None);
        }
        if partial {
            let lease = |row: &AccountRow| (row.lease_holder.clone(), row.lease_until);
            if row.lease_holder.is_some() && row.lease_until.is_none_or(|until| until >= now) {
                return Err(Error::Conflict);
            }
            if lease(&row) != lease(&grounds.row) {
                return Ok(None);
            }
        }
        let before = current.status;
        let mut dropped = Vec::new();
        if let Via::Link(link) = via {
            // SECURITY: a link works once, even when its form is sent twice at the same moment.
            if !auth_links::complete_link(&mut tx, link, now).await? {
                return Err(Error::AuthRequestNotFound);
            }
            test_run::passed(&mut tx, link, now).await?;
            dropped = void_flows(&mut tx, id, now).await?;
            // SECURITY: whoever else opened the link must not change what is connected now.
            sessions::end_portal_sessions(&mut tx, id).await?;
        } else if sealed.is_some() {
            dropped = auth_links::drop_pending(&mut tx, id).await?;
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
        let mut account = current;
        if let Some(sealed) = sealed {
            connected_accounts::set_credential(&mut tx, id, &sealed, now).await?;
            account.status = AccountStatus::Active;
        } else if !dropped.is_empty() {
            account.status = own_status(&row)?;
        }
        let connection = &grounds.connection;
        let event = AccountEvent::Updated;
        record::account_event(&mut tx, ctx, event, &account, connection, "").await?;
        record::status_change(&mut tx, ctx, &account, connection, before).await?;
        let action = "connected_account.updated";
        record::audit(&mut tx, ctx, actor, action, &id.to_string()).await?;
        tx.commit().await?;
        Ok(Some(dropped))
    }
}

/// Ends every link and waiting grant of an account; gives the grants, which have to be revoked.
pub(super) async fn void_flows(
    tx: &mut Tx,
    id: ConnectedAccountId,
    now: Timestamp,
) -> Result<Vec<PendingGrantRow>> {
    auth_links::complete_links(tx, id, now).await?;
    Ok(auth_links::drop_pending(tx, id).await?)
}
