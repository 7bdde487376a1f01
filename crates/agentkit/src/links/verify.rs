//! Who consented is confirmed: a waiting grant becomes live (AK-322).

use super::{MAX_VERIFY_ATTEMPTS, purpose, settle::PendingGrant};
use crate::{
    AgentKit, Error,
    accounts::{Account, AccountStatus, Grounds, merged_config},
    connections::test_run,
    error::Result,
    record,
    vault::Sealed,
};
use keystead_identity::Actor;
use keystead_store::{
    Tx,
    entities::{
        auth_links::{self, PendingGrantRow},
        connected_accounts, sessions,
    },
};
use keystead_types::{AuthRequestId, EnvironmentId, Secret, Timestamp};
use serde_json::Value;
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization;

impl AgentKit {
    /// The application says who consented. Gives the page to end on.
    ///
    /// # Errors
    /// [`Error::AuthRequestNotFound`], [`Error::IdentifierMismatch`] (five of them discard the
    /// grant).
    pub async fn verify_user(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        request: &Secret<String>,
        identifier: &str,
    ) -> Result<String> {
        let hash = self
            .ctx()
            .keys
            .hasher
            .hash(purpose::REQUEST, request.expose());
        let pending = self.pending(env, hash.as_bytes()).await?;
        // SECURITY: compared by keyed hash, so the time tells nothing of the stored identifier.
        let hasher = &self.ctx().keys.hasher;
        let identifier: String = identifier.nfc().collect();
        let same = hasher.hash("identifier", &identifier)
            == hasher.hash("identifier", &pending.identifier);
        if !same {
            self.count_attempt(env, hash.as_bytes(), &pending).await?;
            return Err(Error::IdentifierMismatch);
        }
        self.accept(env, actor, hash.as_bytes(), pending).await
    }

    /// A signed-in member of the workspace finishes the flow (AK-320). The caller has checked the
    /// session.
    ///
    /// # Errors
    /// [`Error::AuthRequestNotFound`].
    pub async fn verify_member(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        request: &Secret<String>,
    ) -> Result<String> {
        let hash = self
            .ctx()
            .keys
            .hasher
            .hash(purpose::REQUEST, request.expose());
        let pending = self.pending(env, hash.as_bytes()).await?;
        let link =
            auth_links::find_link_by_id(&mut self.ctx().db.read(env), pending.link_id).await?;
        // SECURITY: a request whose application must verify the user cannot be finished by a member.
        if link.is_none_or(|link| !link.user_verify_url.is_empty()) {
            return Err(Error::AuthRequestNotFound);
        }
        self.accept(env, actor, hash.as_bytes(), pending).await
    }

    /// The account that [`Self::verify_member`] would connect.
    ///
    /// # Errors
    /// [`Error::AuthRequestNotFound`].
    pub async fn account_to_verify(
        &self,
        env: EnvironmentId,
        request: &Secret<String>,
    ) -> Result<Arc<Grounds>> {
        let hasher = &self.ctx().keys.hasher;
        let hash = hasher.hash(purpose::REQUEST, request.expose());
        let pending = self.pending(env, hash.as_bytes()).await?;
        let grounds = self.grounds_of(env, pending.account_id).await;
        grounds.map_err(|error| match error {
            Error::AccountNotFound => Error::AuthRequestNotFound,
            other => other,
        })
    }

    async fn pending(&self, env: EnvironmentId, hash: &[u8]) -> Result<PendingGrantRow> {
        let now = self.ctx().clock.now();
        auth_links::find_pending(&mut self.ctx().db.read(env), hash, now, MAX_VERIFY_ATTEMPTS)
            .await?
            .ok_or(Error::AuthRequestNotFound)
    }

    async fn accept(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        hash: &[u8],
        pending: PendingGrantRow,
    ) -> Result<String> {
        let grounds =
            self.grounds_of(env, pending.account_id)
                .await
                .map_err(|error| match error {
                    Error::AccountNotFound => Error::AuthRequestNotFound,
                    other => other,
                })?;
        let id = pending.account_id.to_string();
        let grant: PendingGrant = self
            .open_sealed(env, Sealed::Pending(&id), &pending.sealed)
            .await?;
        let mut tx = self.ctx().db.begin(env).await?;
        let now = self.ctx().clock.now();
        // The account before what hangs on it, as in `make_live`.
        connected_accounts::lock(&mut tx, pending.account_id)
            .await?
            .ok_or(Error::AuthRequestNotFound)?;
        if !auth_links::consume_pending(&mut tx, hash, now, MAX_VERIFY_ATTEMPTS).await? {
            return Err(Error::AuthRequestNotFound);
        }
        let mut dropped = self
            .make_live(&mut tx, pending.link_id, &grounds, grant)
            .await?;
        record::audit(
            &mut tx,
            self.ctx(),
            actor,
            "connected_account.verified",
            &id,
        )
        .await?;
        tx.commit().await?;
        self.snapshots().forget(env, pending.account_id);
        dropped.retain(|row| row.sealed != pending.sealed);
        self.revoke_dropped(&grounds, &dropped).await;
        Ok(format!("{}/connect/success", self.base_url(env).await?))
    }

    /// Stores a grant as the account's credential and voids every link of the account; gives the
    /// waiting grants that this ends, the stored one among them.
    pub(crate) async fn make_live(
        &self,
        tx: &mut Tx,
        link: AuthRequestId,
        grounds: &Arc<Grounds>,
        grant: PendingGrant,
    ) -> Result<Vec<PendingGrantRow>> {
        let (ctx, now, id) = (self.ctx(), self.ctx().clock.now(), grounds.account.id);
        // Settings that were changed during the consent are kept.
        let current = connected_accounts::lock(tx, id)
            .await?
            .ok_or(Error::AuthRequestNotFound)?;
        let current = Account::from_row(&current, now)?;
        // SECURITY: a link works once, even when two browsers finish it at the same moment.
        if !auth_links::complete_consented(tx, link, now).await? {
            return Err(Error::AuthRequestNotFound);
        }
        test_run::passed(tx, link, now).await?;
        auth_links::complete_links(tx, id, now).await?;
        let dropped = auth_links::drop_pending(tx, id).await?;
        // SECURITY: whoever else opened the link must not change the account that is connected now.
        sessions::end_portal_sessions(tx, id).await?;
        let expires_at = grant.expires_at.map(Timestamp::from_micros);
        let new = self
            .sealed_grant(grounds, &grant.credential, expires_at, now)
            .await?;
        let asked = grounds.with_choices(&grant.chosen).wanted_scopes();
        let withheld = withheld(asked, &grant.credential.scopes);
        let chosen = grant.chosen;
        let chose = !chosen.api_config.is_empty() || chosen.scope_selection.is_some();
        if chose || !grant.account_values.is_empty() {
            let mut config = merged_config(&current.api_config, chosen.api_config);
            config.extend(grant.account_values);
            let selection = chosen
                .scope_selection
                .or(current.scope_selection)
                .map(|selection| serde_json::json!(selection));
            connected_accounts::set_config(tx, id, &Value::Object(config), selection.as_ref(), now)
                .await?;
        }
        connected_accounts::set_credential(tx, id, &new, now).await?;
        let mut account = grounds.account.clone();
        account.status = AccountStatus::Active;
        account.token_expires_at = expires_at;
        let before = &grounds.credential.provider_subject;
        let other = grant
            .consenter
            .as_ref()
            .is_some_and(|consenter| consenter.is_other_than(before));
        let mut detail = match &grant.consenter {
            Some(who) if other => format!("by {}, another account than before", who.label),
            Some(who) => format!("by {}", who.label),
            None => String::new(),
        };
        if !withheld.is_empty() {
            let separator = if detail.is_empty() { "" } else { "; " };
            detail.push_str(separator);
            detail.push_str("not granted: ");
            detail.push_str(&withheld.join(", "));
        }
        record::oauth_succeeded(tx, ctx, &account, &grounds.connection, &detail, other).await?;
        record::status_change(tx, ctx, &account, &grounds.connection, current.status).await?;
        Ok(dropped)
    }
}

/// Scopes that were asked for and not granted (AK-216); none when the grant's are not known.
fn withheld(mut asked: Vec<String>, granted: &[String]) -> Vec<String> {
    asked.retain(|scope| !granted.is_empty() && !granted.contains(scope));
    asked
}
