//! Refreshing before anybody asks (AK-220).

use super::Force;
use crate::{AgentKit, error::Result};
use futures_util::{StreamExt, stream};
use keystead_store::entities::connected_accounts::{self, DueAccount};
use keystead_types::{ConnectedAccountId, EnvironmentId, Timestamp};
use std::time::Duration;

/// Accounts that are refreshed at the same time.
const AT_ONCE: usize = 8;
/// Pause before an account that could not be refreshed is looked at again.
const PUT_OFF: Duration = Duration::from_secs(600);

impl AgentKit {
    /// Refreshes what is due in all environments, a batch at a time; gives how many were looked at.
    pub async fn refresh_due(&self, batch: u32) -> Result<usize> {
        let now = self.ctx().clock.now();
        let due =
            connected_accounts::refresh_due(&mut self.ctx().db.read_admin(), now, batch).await?;
        let count = due.len();
        stream::iter(due)
            .for_each_concurrent(AT_ONCE, |account| async move {
                let DueAccount { environment, id } = account;
                let outcome = match self.refresh_in_background(environment, id).await {
                    Ok(true) => return,
                    Ok(false) => self.put_off(environment, id, now).await,
                    Err(error) => {
                        tracing::warn!(account = %id, %error, "background refresh");
                        self.put_off(environment, id, now).await
                    }
                };
                if let Err(error) = outcome {
                    tracing::warn!(account = %id, %error, "background refresh put off");
                }
            })
            .await;
        Ok(count)
    }

    /// Whether the account has new tokens.
    async fn refresh_in_background(
        &self,
        env: EnvironmentId,
        id: ConnectedAccountId,
    ) -> Result<bool> {
        let grounds = self.grounds_of(env, id).await?;
        if !grounds.connection.enabled || !grounds.connection.auto_refresh() {
            return Ok(false);
        }
        let version = grounds.account.credential_version;
        let fresh = self.fresh(grounds, Force::IfDue).await?;
        Ok(fresh.account.credential_version != version)
    }

    /// An account that is still due is looked at later, so that those which cannot be refreshed
    /// (a connection that is switched off, say) do not hold up the others. Calls refresh it anyway.
    async fn put_off(
        &self,
        env: EnvironmentId,
        id: ConnectedAccountId,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.ctx().db.begin(env).await?;
        connected_accounts::put_refresh_off(&mut tx, id, now, now.plus(PUT_OFF)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// After a restart of a single-process installation no lease can have a living holder.
    pub async fn release_leases_of_former_run(&self) -> Result<u64> {
        let mut tx = self.ctx().db.begin_admin().await?;
        let freed = connected_accounts::expire_all_leases(&mut tx).await?;
        tx.commit().await?;
        Ok(freed)
    }
}
