//! Refreshing on request (AK-225).

use super::{Account, AccountKey};
use crate::{AgentKit, Error, error::Result, record};
use keystead_identity::Actor;
use keystead_types::EnvironmentId;

impl AgentKit {
    /// Refreshes the credential that acts for an account, whether it is due or not. Audited.
    ///
    /// # Errors
    /// Those of finding it; [`Error::NothingToRefresh`]; [`Error::RefreshFailed`] with the reason.
    pub async fn refresh_account(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        key: AccountKey,
    ) -> Result<Account> {
        let grounds = self.grounds(env, key).await?;
        let id = if grounds.consents_only() {
            self.acting(&grounds).await?.account.id
        } else {
            grounds.account.id
        };
        let mut tx = self.ctx().db.begin(env).await?;
        let action = "connected_account.refresh_requested";
        record::audit(&mut tx, self.ctx(), actor, action, &id.to_string()).await?;
        tx.commit().await?;
        match self.refresh_now(env, id).await {
            Ok(_) => Ok(self
                .grounds_of(env, grounds.account.id)
                .await?
                .account
                .clone()),
            Err(Error::ProviderUnavailable(why)) => Err(Error::RefreshFailed(why)),
            Err(other) => Err(other),
        }
    }
}
