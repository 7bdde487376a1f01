//! Disconnecting and deleting accounts (AK-213, AK-214).

use super::{AccountKey, AccountStatus, Grounds, change::void_flows};
use crate::{
    AgentKit, Error,
    error::Result,
    record::{self, AccountEvent},
};
use keystead_identity::Actor;
use keystead_store::entities::connected_accounts;
use keystead_types::EnvironmentId;
use std::sync::Arc;

impl AgentKit {
    /// Drops the credential and keeps the account; repeating it changes nothing (AK-214).
    pub async fn disconnect_account(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        key: AccountKey,
    ) -> Result<Arc<Grounds>> {
        let grounds = self.grounds(env, key).await?;
        let (ctx, id, now) = (self.ctx(), grounds.account.id, self.ctx().clock.now());
        if grounds.account.status != AccountStatus::Disconnected {
            let mut tx = ctx.db.begin(env).await?;
            connected_accounts::disconnect(&mut tx, id, now).await?;
            void_flows(&mut tx, id, now).await?;
            let mut account = grounds.account.clone();
            account.status = AccountStatus::Disconnected;
            account.token_expires_at = None;
            record::status_change(
                &mut tx,
                ctx,
                &account,
                &grounds.connection,
                grounds.account.status,
            )
            .await?;
            record::audit(
                &mut tx,
                ctx,
                actor,
                "connected_account.disconnected",
                &id.to_string(),
            )
            .await?;
            tx.commit().await?;
            self.snapshots().forget(env, id);
            self.revoke_upstream(&grounds);
        }
        self.grounds_of(env, id).await
    }

    /// Deletes the account with everything that hangs on it (AK-213).
    pub async fn delete_account(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        key: AccountKey,
    ) -> Result<()> {
        let key = key.normalised();
        let grounds = self.grounds(env, key.clone()).await?;
        self.require_consistent(env, &key, &grounds).await?;
        self.delete_grounds(actor, &grounds).await
    }

    /// As [`Self::delete_account`], of an account that was read.
    pub(super) async fn delete_grounds(&self, actor: &Actor, grounds: &Grounds) -> Result<()> {
        let env = grounds.environment;
        let (ctx, id) = (self.ctx(), grounds.account.id);
        let mut tx = ctx.db.begin(env).await?;
        if !connected_accounts::delete(&mut tx, id).await? {
            return Err(Error::AccountNotFound);
        }
        record::account_event(
            &mut tx,
            ctx,
            AccountEvent::Deleted,
            &grounds.account,
            &grounds.connection,
            "",
        )
        .await?;
        record::audit(
            &mut tx,
            ctx,
            actor,
            "connected_account.deleted",
            &id.to_string(),
        )
        .await?;
        tx.commit().await?;
        self.snapshots().forget(env, id);
        self.snapshots()
            .forget_address(env, &grounds.account.identifier);
        if grounds.account.is_org_wide {
            self.forget_all(env);
        }
        self.revoke_upstream(grounds);
        Ok(())
    }
}
