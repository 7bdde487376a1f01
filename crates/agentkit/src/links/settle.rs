//! What becomes of a grant: it goes live, or waits for verification (AK-301, AK-320..AK-323).

use super::{
    MAX_VERIFY_ATTEMPTS, OpenLink, VERIFICATION_LIFETIME,
    callback::{CallbackEnd, CallbackError, Result},
    consent::Chosen,
    consenter::ProviderAccount,
    place::OpenQuestion,
    purpose,
};
use crate::{
    AgentKit, Error,
    accounts::{Account, AccountStatus, Grounds},
    connections::test_run,
    record::{self, AccountEvent},
    settings::Verification,
    vault::{Credential, Sealed},
};
use keystead_crypto::random_token;
use keystead_identity::Actor;
use keystead_store::entities::{
    auth_links::{self, LinkRow, PendingGrantRow},
    connected_accounts,
};
use keystead_types::{AuthRequestId, EnvironmentId, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use url::Url;

/// A grant that waits for verification; sealed.
#[derive(Serialize, Deserialize)]
pub(crate) struct PendingGrant {
    pub(crate) credential: Credential,
    pub(crate) expires_at: Option<i64>,
    pub(crate) account_values: Map<String, Value>,
    #[serde(default)]
    pub(crate) consenter: Option<ProviderAccount>,
    /// What the user filled in before the consent.
    #[serde(default)]
    pub(crate) chosen: Chosen,
}

/// What the exchange gave.
pub(super) struct Granted {
    pub(super) credential: Credential,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) account_values: Map<String, Value>,
    pub(super) consenter: Option<ProviderAccount>,
    /// What the user has to say before it is settled.
    pub(super) question: Option<OpenQuestion>,
}

impl Granted {
    pub(super) fn into_pending(self, chosen: Chosen) -> PendingGrant {
        PendingGrant {
            credential: self.credential,
            expires_at: self.expires_at.map(Timestamp::as_micros),
            account_values: self.account_values,
            consenter: self.consenter,
            chosen,
        }
    }
}

impl AgentKit {
    /// Settles a grant; one that cannot be used any more is given back.
    pub(super) async fn settle_or_drop(
        &self,
        env: EnvironmentId,
        link: &OpenLink,
        pending: PendingGrant,
    ) -> Result<CallbackEnd> {
        let credential = pending.credential.clone();
        let settled = self.settle(env, &link.row, &link.grounds, pending).await;
        match &settled {
            Ok(_) => {
                if let Some(client) = &credential.client {
                    self.remember_way(&link.grounds, client).await;
                }
            }
            // It may have been stored all the same.
            Err(error @ CallbackError::Other(Error::Internal(_))) => {
                self.fail_test(env, link.row.id, error).await?;
            }
            // Another browser finished the link meanwhile, say; nobody will use these tokens.
            Err(error) => {
                self.revoke_unused(&link.grounds, &credential);
                if !matches!(error, CallbackError::Other(Error::AuthRequestNotFound)) {
                    self.fail_test(env, link.row.id, error).await?;
                }
            }
        }
        settled
    }

    /// Makes the grant live, or lets it wait for verification.
    async fn settle(
        &self,
        env: EnvironmentId,
        link: &LinkRow,
        grounds: &Arc<Grounds>,
        granted: PendingGrant,
    ) -> Result<CallbackEnd> {
        let settings = self.settings(env).await?;
        // A link that names a verification URL is verified, whatever the environment's mode.
        let mode = if link.user_verify_url.is_empty() {
            match settings.verification {
                // No user of the application: a member grants it for all of them (AK-240).
                Verification::Custom if grounds.account.is_org_wide => Verification::PlatformUsers,
                mode => mode,
            }
        } else {
            Verification::Custom
        };
        if mode == Verification::None {
            self.activate(env, link, grounds, granted).await?;
            return Ok(CallbackEnd::Connected);
        }
        let request = random_token(&*self.ctx().rng, "", 32);
        let end = match mode {
            Verification::Custom => CallbackEnd::Application(verification_url(link, &request)?),
            _ => CallbackEnd::SignIn(request.clone()),
        };
        self.hold(env, link, grounds, granted, &request).await?;
        Ok(end)
    }

    /// Stores the grant beside the live credential (AK-321, AK-323).
    async fn hold(
        &self,
        env: EnvironmentId,
        link: &LinkRow,
        grounds: &Grounds,
        pending: PendingGrant,
        request: &Secret<String>,
    ) -> Result<()> {
        let (ctx, now, id) = (self.ctx(), self.ctx().clock.now(), grounds.account.id);
        let row = PendingGrantRow {
            link_id: link.id,
            account_id: id,
            identifier: link.identifier.clone(),
            sealed: self
                .seal(env, Sealed::Pending(&id.to_string()), &pending)
                .await?,
            attempts: 0,
        };
        let hash = ctx.keys.hasher.hash(purpose::REQUEST, request.expose());
        let mut tx = ctx.db.begin(env).await?;
        let current = connected_accounts::lock(&mut tx, id).await?;
        let mut account = Account::from_row(&current.ok_or(Error::AuthRequestNotFound)?, now)?;
        let before = account.status;
        account.status = AccountStatus::PendingVerification;
        // Under the account's lock: whoever makes a grant live or disconnects completes the links.
        let open = auth_links::find_link_by_id(&mut tx, link.id).await?;
        if open.is_none_or(|link| link.completed_at.is_some()) {
            return Err(Error::AuthRequestNotFound.into());
        }
        auth_links::insert_pending(
            &mut tx,
            hash.as_bytes(),
            &row,
            now,
            now.plus(VERIFICATION_LIFETIME),
        )
        .await?;
        connected_accounts::set_pending_until(&mut tx, id, MAX_VERIFY_ATTEMPTS, now).await?;
        test_run::passed(&mut tx, link.id, now).await?;
        let event = AccountEvent::OauthTokensFetched;
        record::account_event(&mut tx, ctx, event, &account, &grounds.connection, "").await?;
        record::status_change(&mut tx, ctx, &account, &grounds.connection, before).await?;
        tx.commit().await?;
        self.snapshots().forget(env, id);
        Ok(())
    }

    /// Makes a grant live at once and voids all links of the account (AK-301).
    async fn activate(
        &self,
        env: EnvironmentId,
        link: &LinkRow,
        grounds: &Arc<Grounds>,
        pending: PendingGrant,
    ) -> Result<()> {
        let account = grounds.account.clone();
        let mut tx = self.ctx().db.begin(env).await?;
        connected_accounts::lock(&mut tx, account.id)
            .await?
            .ok_or(Error::AuthRequestNotFound)?;
        let event = AccountEvent::OauthTokensFetched;
        record::account_event(
            &mut tx,
            self.ctx(),
            event,
            &account,
            &grounds.connection,
            "",
        )
        .await?;
        let dropped = self.make_live(&mut tx, link.id, grounds, pending).await?;
        let actor = Actor {
            name: format!("link:{}", link.id),
            request_id: None,
        };
        let action = "connected_account.activated_unverified";
        record::audit(&mut tx, self.ctx(), &actor, action, &account.id.to_string()).await?;
        tx.commit().await?;
        self.snapshots().forget(env, account.id);
        self.revoke_dropped(grounds, &dropped).await;
        Ok(())
    }

    /// A grant that could not be stored is the end of a test, too (AK-116).
    async fn fail_test(
        &self,
        env: EnvironmentId,
        link: AuthRequestId,
        error: &CallbackError,
    ) -> Result<()> {
        let mut tx = self.ctx().db.begin(env).await?;
        test_run::failed(&mut tx, link, error, self.ctx().clock.now()).await?;
        tx.commit().await?;
        Ok(())
    }
}
/// The application's page with the request and the developer's state; its own query is kept.
fn verification_url(link: &LinkRow, request: &Secret<String>) -> Result<Url> {
    if link.user_verify_url.is_empty() {
        return Err(CallbackError::NoVerifyUrl);
    }
    let mut url = Url::parse(&link.user_verify_url).map_err(|_| CallbackError::NoVerifyUrl)?;
    url.query_pairs_mut()
        .append_pair("auth_request_id", request.expose());
    if !link.client_state.is_empty() {
        url.query_pairs_mut()
            .append_pair("state", &link.client_state);
    }
    Ok(url)
}
