//! Disconnecting and deleting accounts (AK-213, AK-214).
//!
//! Both take the row as it is in the transaction, so that what is revoked is what was stored last.
//! Neither needs the connector: an account that it no longer fits can go, too.

use super::{Account, AccountKey, AccountStatus, change::void_flows};
use crate::{
    AgentKit, Error,
    connections::Connection,
    error::Result,
    links::Dropped,
    record::{self, AccountEvent},
};
use keystead_identity::Actor;
use keystead_store::entities::{
    auth_links,
    connected_accounts::{self, AccountRow},
};
use keystead_types::EnvironmentId;

impl AgentKit {
    /// Drops the credential and keeps the account; repeating it changes nothing (AK-214).
    ///
    /// # Errors
    /// Those of finding it.
    pub async fn disconnect_account(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        key: AccountKey,
    ) -> Result<(Account, Connection)> {
        let key = key.normalised();
        let found = self.account_row(&mut self.ctx().db.read(env), &key).await?;
        let connection = self.connection(env, found.connection_id).await?;
        let (ctx, id, now) = (self.ctx(), found.id, self.ctx().clock.now());
        let mut tx = ctx.db.begin(env).await?;
        let row = connected_accounts::lock(&mut tx, id).await?;
        let row = row.ok_or(Error::AccountNotFound)?;
        let mut account = Account::from_row(&row, now)?;
        let before = account.status;
        if before == AccountStatus::Disconnected {
            return Ok((account, connection));
        }
        let pending = void_flows(&mut tx, id, now).await?;
        connected_accounts::disconnect(&mut tx, id, now).await?;
        account.status = AccountStatus::Disconnected;
        account.token_expires_at = None;
        record::status_change(&mut tx, ctx, &account, &connection, before).await?;
        let action = "connected_account.disconnected";
        record::audit(&mut tx, ctx, actor, action, &id.to_string()).await?;
        tx.commit().await?;
        self.snapshots().forget(env, id);
        let dropped = Dropped {
            pending,
            ..Dropped::default()
        };
        self.revoke_removed(env, row, &dropped).await;
        let key = AccountKey {
            id: Some(id.to_string()),
            ..AccountKey::default()
        };
        Ok((self.account(env, key).await?, connection))
    }

    /// Deletes the account with everything that hangs on it (AK-213).
    ///
    /// # Errors
    /// Those of finding it.
    pub async fn delete_account(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        key: AccountKey,
    ) -> Result<()> {
        let key = key.normalised();
        let row = self.account_row(&mut self.ctx().db.read(env), &key).await?;
        let account = Account::from_row(&row, self.ctx().clock.now())?;
        self.require_consistent(env, &key, &account).await?;
        self.delete_row(env, actor, row).await
    }

    /// As [`Self::delete_account`], of an account that was found.
    pub(super) async fn delete_row(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        found: AccountRow,
    ) -> Result<()> {
        let connection = self.connection(env, found.connection_id).await?;
        let (ctx, id) = (self.ctx(), found.id);
        let mut tx = ctx.db.begin(env).await?;
        let row = connected_accounts::lock_for_removal(&mut tx, id).await?;
        let row = row.ok_or(Error::AccountNotFound)?;
        // What would go with the row unseen, and has to be revoked.
        let dropped = Dropped {
            flows: auth_links::open_flows(&mut tx, id).await?,
            pending: auth_links::drop_pending(&mut tx, id).await?,
        };
        connected_accounts::delete(&mut tx, id).await?;
        let account = Account::from_row(&row, ctx.clock.now())?;
        let event = AccountEvent::Deleted;
        record::account_event(&mut tx, ctx, event, &account, &connection, "").await?;
        let action = "connected_account.deleted";
        record::audit(&mut tx, ctx, actor, action, &id.to_string()).await?;
        tx.commit().await?;
        self.snapshots().forget(env, id);
        self.snapshots().forget_address(env, &account.identifier);
        if account.is_org_wide {
            self.forget_all(env);
        }
        self.revoke_removed(env, row, &dropped).await;
        Ok(())
    }
}
