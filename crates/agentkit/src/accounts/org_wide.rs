//! One credential that all users of a connection share (AK-240, AK-241).
//!
//! The connection has one account that holds the credential and belongs to nobody: its identifier is
//! empty, so no connector and identifier lead to it. The accounts of users hold none; they say who
//! has agreed that the shared one acts for him.

use super::{
    Account, AccountPatch, AccountStatus, CredentialInput, Grounds, Via, change::void_flows,
    grounds::Derived,
};
use crate::{
    AgentKit, Error,
    connections::{AuthMode, Connection, test_run},
    error::Result,
    links::{CreatedLink, OpenLink},
    record::{self, AccountEvent},
};
use keystead_identity::Actor;
use keystead_store::entities::{
    auth_links,
    connected_accounts::{self, AccountRow, ORG_WIDE_INDEX, OWNER_INDEX},
};
use keystead_types::{ConnectedAccountId, ConnectionId, EnvironmentId};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A shared credential that was stored or asked for.
#[derive(Debug)]
pub struct OrgWideAuthorization {
    /// The account that holds it.
    pub account: Account,
    /// Where somebody consents at the provider; absent when the credential came with the call.
    pub link: Option<CreatedLink>,
}

impl Grounds {
    /// Whether the account holds no credential of its own and says only that its user has agreed
    /// (AK-241).
    pub fn consents_only(&self) -> bool {
        self.connection.auth_mode == AuthMode::OrgWide && !self.account.is_org_wide
    }

    /// The account as it is, with the credential that acts for it.
    fn lent(&self, shared: &Self) -> Arc<Self> {
        Arc::new(Self {
            environment: self.environment,
            account: Account {
                scopes: shared.account.scopes.clone(),
                token_expires_at: shared.account.token_expires_at,
                ..self.account.clone()
            },
            row: self.row.clone(),
            connection: self.connection.clone(),
            provider: Arc::clone(&self.provider),
            pattern: self.pattern.clone(),
            credential: shared.credential.clone(),
            shared: self.shared,
            derived: Derived::default(),
        })
    }
}

impl AgentKit {
    /// Stores the credential that all users of a connection share, or makes the link on which it is
    /// granted (AK-240). The caller has checked that a member or administrator asks. Repeating it
    /// uses the same account.
    ///
    /// # Errors
    /// [`Error::NotOrgWide`] for a connection with a credential for each user (AK-242),
    /// [`Error::ConnectionDisabled`], [`Error::AuthTypeMismatch`], [`Error::Invalid`].
    pub async fn authorize_org_wide(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        connection: ConnectionId,
        credential: CredentialInput,
        api_config: Map<String, Value>,
    ) -> Result<OrgWideAuthorization> {
        let connection = self.connection(env, connection).await?;
        if connection.auth_mode != AuthMode::OrgWide {
            return Err(Error::NotOrgWide(connection.key_id.clone()));
        }
        let provider = self.provider(env, &connection.provider_key).await?;
        connection.require_usable(&provider)?;
        let redirects = connection.kind.is_redirect();
        match (redirects, credential.is_absent()) {
            (true, false) => {
                return Err(Error::field(
                    "authorization_details",
                    "cannot be sent: the credential is granted on the provider's page",
                ));
            }
            (false, true) => {
                return Err(Error::field("authorization_details", "is required"));
            }
            _ => {}
        }
        let id = self.org_wide_account(env, actor, &connection).await?;
        let mut grounds = self.grounds_of(env, id).await?;
        if !redirects || !api_config.is_empty() {
            let patch = AccountPatch {
                credential,
                api_config,
                scope_selection: None,
            };
            grounds = self
                .change_account(env, actor, grounds, patch, Via::Api)
                .await?;
        }
        let link = if redirects {
            let (state, verify_url) = (String::new(), String::new());
            Some(
                self.link_of(env, actor, &grounds, state, verify_url)
                    .await?,
            )
        } else {
            None
        };
        Ok(OrgWideAuthorization {
            account: grounds.account.clone(),
            link,
        })
    }

    /// The account that holds a connection's shared credential; made when there is none.
    async fn org_wide_account(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        connection: &Connection,
    ) -> Result<ConnectedAccountId> {
        if let Some(id) = self.find_org_wide(env, connection.id).await? {
            return Ok(id);
        }
        let (ctx, now) = (self.ctx(), self.ctx().clock.now());
        let row = AccountRow {
            id: ctx.ids.next(&*ctx.clock),
            connection_id: connection.id,
            identifier: String::new(),
            organization_id: String::new(),
            user_id: String::new(),
            status: AccountStatus::PendingAuth.as_str().to_owned(),
            status_reason: String::new(),
            api_config: json!({}),
            scope_selection: None,
            scopes: json!([]),
            credential: None,
            credential_version: 0,
            token_expires_at: None,
            refresh_due_at: None,
            refresh_not_before: None,
            refresh_failures: 0,
            lease_holder: None,
            lease_until: None,
            last_refreshed_at: None,
            last_used_at: None,
            is_org_wide: true,
            created_at: now,
            updated_at: now,
            pending_until: None,
        };
        let account = Account::from_row(&row, now)?;
        let mut tx = ctx.db.begin(env).await?;
        match connected_accounts::insert(&mut tx, &row).await {
            Ok(()) => {}
            // Somebody else made it at the same moment.
            Err(error)
                if error.is_unique_violation(ORG_WIDE_INDEX)
                    || error.is_unique_violation(OWNER_INDEX) =>
            {
                drop(tx);
                // On SQLite it may not be durable yet: a writer sees it, a reader would not.
                let mut tx = ctx.db.begin(env).await?;
                let made = connected_accounts::find_org_wide(&mut tx, connection.id).await?;
                tx.commit().await?;
                return made.map(|row| row.id).ok_or(Error::Conflict);
            }
            Err(error) => return Err(error.into()),
        }
        let event = AccountEvent::Created;
        record::account_event(&mut tx, ctx, event, &account, connection, "").await?;
        let target = row.id.to_string();
        record::audit(&mut tx, ctx, actor, "connected_account.created", &target).await?;
        tx.commit().await?;
        self.forget_all(env);
        Ok(row.id)
    }

    /// The account that holds a connection's shared credential.
    pub(crate) async fn find_org_wide(
        &self,
        env: EnvironmentId,
        connection: ConnectionId,
    ) -> Result<Option<ConnectedAccountId>> {
        let row =
            connected_accounts::find_org_wide(&mut self.ctx().db.read(env), connection).await?;
        Ok(row.map(|row| row.id))
    }

    /// The account whose credential acts for an account: its own, or the shared one when its user
    /// has agreed (AK-241).
    ///
    /// # Errors
    /// [`Error::AccountNotActive`] when the user has not agreed or nobody has authorized the shared
    /// credential; [`Error::SharedCredential`] for the account that holds it.
    pub(crate) async fn acting(&self, grounds: &Arc<Grounds>) -> Result<Arc<Grounds>> {
        if grounds.connection.auth_mode == AuthMode::User {
            return Ok(Arc::clone(grounds));
        }
        // SECURITY: addressed by its own id it would act for a user who has not agreed.
        if grounds.account.is_org_wide {
            return Err(Error::SharedCredential("name the account of a user"));
        }
        grounds.require_active()?;
        let env = grounds.environment;
        let nobody = || Error::AccountNotActive {
            status: AccountStatus::PendingAuth.as_str(),
            reason: "the credential that all users share is not authorized yet".to_owned(),
        };
        let id = match grounds.shared {
            Some(id) => id,
            None => self
                .find_org_wide(env, grounds.connection.id)
                .await?
                .ok_or_else(nobody)?,
        };
        if let Some(shared) = self.snapshots().account(env, id) {
            return Ok(shared);
        }
        let moment = self.snapshots().moment();
        let shared = self
            .grounds_of(env, id)
            .await
            .map_err(|error| match error {
                Error::AccountNotFound => nobody(),
                other => other,
            })?;
        self.snapshots().put(moment, &shared);
        Ok(shared)
    }

    /// As [`Self::acting`] with a live token, in the account that was asked for.
    pub(super) async fn acting_fresh(&self, grounds: &Arc<Grounds>) -> Result<Arc<Grounds>> {
        let acting = self.acting(grounds).await?;
        let fresh = self.fresh(acting, crate::vault::Force::IfDue).await?;
        Ok(if fresh.account.id == grounds.account.id {
            fresh
        } else {
            grounds.lent(&fresh)
        })
    }

    /// The user of a link agrees that the shared credential acts for him.
    pub(crate) async fn agree(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        link: &OpenLink,
    ) -> Result<()> {
        let grounds = &link.grounds;
        let (ctx, id, now) = (self.ctx(), grounds.account.id, self.ctx().clock.now());
        let mut tx = ctx.db.begin(env).await?;
        let row = connected_accounts::lock(&mut tx, id).await?;
        let mut account = Account::from_row(&row.ok_or(Error::AuthRequestNotFound)?, now)?;
        let before = account.status;
        account.status = AccountStatus::Active;
        // SECURITY: a link works once, even when its form is sent twice at the same moment.
        if !auth_links::complete_link(&mut tx, link.row.id, now).await? {
            return Err(Error::AuthRequestNotFound);
        }
        test_run::passed(&mut tx, link.row.id, now).await?;
        let dropped = void_flows(&mut tx, id, now).await?;
        connected_accounts::set_status(&mut tx, id, account.status.as_str(), "", now).await?;
        let (event, connection) = (AccountEvent::Updated, &grounds.connection);
        record::account_event(&mut tx, ctx, event, &account, connection, "").await?;
        record::status_change(&mut tx, ctx, &account, connection, before).await?;
        let action = "connected_account.consented";
        record::audit(&mut tx, ctx, actor, action, &id.to_string()).await?;
        tx.commit().await?;
        self.snapshots().forget(env, id);
        self.revoke_dropped(grounds, &dropped).await;
        Ok(())
    }
}
