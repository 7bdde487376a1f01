//! Grants that nobody verified (AK-322, AK-323).
//!
//! A waiting grant lies over the account's own state; it ends by itself. What is done here is to say
//! so (event, history) and to remove the tokens.

use super::MAX_VERIFY_ATTEMPTS;
use crate::{
    AgentKit, Error,
    accounts::{AccountStatus, Grounds, own_status},
    error::Result,
    record,
};
use keystead_store::{
    Tx,
    entities::{
        auth_links::{self, AbandonedFlow, PendingGrantRow},
        connected_accounts::{self, DueAccount},
    },
};
use keystead_types::{AuthRequestId, ConnectedAccountId, EnvironmentId};

impl AgentKit {
    /// Ends waiting grants of all environments that were not verified in time, a batch at a time;
    /// gives how many accounts were looked at.
    pub async fn lapse_pending(&self, batch: u32) -> Result<usize> {
        let now = self.ctx().clock.now();
        let mut read = self.ctx().db.read_admin();
        let lapsed = connected_accounts::pending_lapsed(&mut read, now, batch).await?;
        let count = lapsed.len();
        for DueAccount { environment, id } in lapsed {
            if let Err(error) = self.lapse(environment, id).await {
                tracing::warn!(account = %id, %error, "a grant that was not verified could not be ended");
            }
        }
        Ok(count)
    }

    /// Removes trips to providers, of all environments, that nobody finished in time, a batch at a
    /// time, and revokes the grants that waited in them for the choice of a place (AK-013); gives how
    /// many trips were looked at.
    pub async fn lapse_flows(&self, batch: u32) -> Result<usize> {
        let now = self.ctx().clock.now();
        let mut read = self.ctx().db.read_admin();
        let abandoned = auth_links::abandoned_flows(&mut read, now, batch).await?;
        let count = abandoned.len();
        for AbandonedFlow { environment, id } in abandoned {
            if let Err(error) = self.lapse_flow(environment, id).await {
                tracing::warn!(flow = %id, %error, "a trip that was not finished could not be ended");
            }
        }
        Ok(count)
    }

    async fn lapse_flow(&self, env: EnvironmentId, id: AuthRequestId) -> Result<()> {
        let mut tx = self.ctx().db.begin(env).await?;
        let flow = auth_links::drop_abandoned_flow(&mut tx, id, self.ctx().clock.now()).await?;
        tx.commit().await?;
        let Some(flow) = flow else { return Ok(()) };
        let link = auth_links::find_link_by_id(&mut self.ctx().db.read(env), flow.link_id).await?;
        if let Some(link) = link {
            let grounds = self.grounds_of(env, link.account_id).await?;
            self.revoke_waiting(&grounds, &[flow]).await;
        }
        Ok(())
    }

    async fn lapse(&self, env: EnvironmentId, id: ConnectedAccountId) -> Result<()> {
        // An account that cannot be read (its connector is gone, say) must not stay at the head of
        // the queue; there is nobody to tell about it then.
        let grounds = self.grounds_of(env, id).await;
        let now = self.ctx().clock.now();
        let mut tx = self.ctx().db.begin(env).await?;
        if !connected_accounts::end_pending(&mut tx, id, now).await? {
            return Ok(());
        }
        let dropped = auth_links::drop_dead_pending(&mut tx, id, now, MAX_VERIFY_ATTEMPTS).await?;
        if let Ok(grounds) = &grounds {
            let why = "the new authorization was not verified in time";
            self.tell_lapse(&mut tx, grounds, why).await?;
        }
        tx.commit().await?;
        self.snapshots().forget(env, id);
        self.revoke_dropped(&*grounds?, &dropped).await;
        Ok(())
    }

    /// Counts a wrong name. The last one discards the grant, and the account is in the state it had.
    pub(super) async fn count_attempt(
        &self,
        env: EnvironmentId,
        hash: &[u8],
        pending: &PendingGrantRow,
    ) -> Result<()> {
        let id = pending.account_id;
        let grounds = self.grounds_of(env, id).await?;
        let now = self.ctx().clock.now();
        let mut tx = self.ctx().db.begin(env).await?;
        connected_accounts::lock(&mut tx, id)
            .await?
            .ok_or(Error::AuthRequestNotFound)?;
        auth_links::count_pending_attempt(&mut tx, hash).await?;
        let until =
            connected_accounts::set_pending_until(&mut tx, id, MAX_VERIFY_ATTEMPTS, now).await?;
        let dropped = auth_links::drop_dead_pending(&mut tx, id, now, MAX_VERIFY_ATTEMPTS).await?;
        if until.is_none() && !dropped.is_empty() {
            let why = "the new authorization was discarded after too many wrong identifiers";
            self.tell_lapse(&mut tx, &grounds, why).await?;
        }
        tx.commit().await?;
        self.snapshots().forget(env, id);
        self.revoke_dropped(&grounds, &dropped).await;
        Ok(())
    }

    async fn tell_lapse(&self, tx: &mut Tx, grounds: &Grounds, why: &str) -> Result<()> {
        let mut account = grounds.account.clone();
        account.status = own_status(&grounds.row)?;
        let kind = "connected_account.verification_failed";
        record::history(tx, self.ctx(), account.id, kind, why).await?;
        let pending = AccountStatus::PendingVerification;
        record::status_change(tx, self.ctx(), &account, &grounds.connection, pending).await
    }
}
