//! What becomes of a refresh: its tokens are stored, or its failure is noted (AK-223, AK-224).

use super::{Credential, ExchangeError, Force, Sealed};
use crate::{
    AgentKit, Error,
    accounts::{Account, AccountStatus, Grounds, merged_config},
    error::Result,
    record::{self, AccountEvent},
};
use keystead_store::{
    Tx,
    entities::connected_accounts::{self, NewCredential},
};
use keystead_types::{ConnectedAccountId, EnvironmentId, Timestamp};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

/// Longest pause after transient failures (AK-224).
const MAX_BACKOFF: Duration = Duration::from_secs(3600);

/// Tokens of a refresh that are not stored yet.
pub(super) struct Fresh {
    pub(super) credential: Credential,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) account_values: Map<String, Value>,
}

/// Why there are none. The text is safe to store and show.
pub(super) struct Failure {
    pub(super) definitive: bool,
    pub(super) text: String,
}

impl From<ExchangeError> for Failure {
    fn from(error: ExchangeError) -> Self {
        Self {
            definitive: error.is_definitive(),
            text: error.to_string(),
        }
    }
}

impl AgentKit {
    /// Commits the new tokens; only then anybody gets them.
    pub(super) async fn store_refreshed(
        &self,
        grounds: Arc<Grounds>,
        fresh: Fresh,
    ) -> Result<Arc<Grounds>> {
        let (env, id) = (grounds.environment, grounds.account.id);
        let now = self.ctx().clock.now();
        let sealed = self
            .seal(env, Sealed::Account(&id.to_string()), &fresh.credential)
            .await?;
        let new = NewCredential {
            status: AccountStatus::Active.as_str().to_owned(),
            scopes: serde_json::json!(fresh.credential.scopes),
            sealed: Some(sealed),
            expires_at: fresh.expires_at,
            refresh_due_at: grounds.refresh_due(now, fresh.expires_at, &fresh.credential),
        };
        let version = grounds.account.credential_version;
        let old = grounds.account.status;
        let mut tx = self.ctx().db.begin(env).await?;
        if !connected_accounts::refreshed(&mut tx, id, version, &new, now).await? {
            // Disconnected, deleted or authorized anew meanwhile: nothing is written back.
            drop(tx);
            let current = self.reread(env, id).await?;
            current.require_active()?;
            return Ok(current);
        }
        self.store_values(&mut tx, id, fresh.account_values).await?;
        let mut account = grounds.account_in(AccountStatus::Active);
        account.token_expires_at = fresh.expires_at;
        let (ctx, connection) = (self.ctx(), &grounds.connection);
        record::account_event(
            &mut tx,
            ctx,
            AccountEvent::TokenRefreshSucceeded,
            &account,
            connection,
            "",
        )
        .await?;
        record::status_change(&mut tx, ctx, &account, connection, old).await?;
        tx.commit().await?;
        if let Some(client) = &fresh.credential.client {
            self.remember_way(&grounds, client).await;
        }
        self.reread(env, id).await
    }

    /// Puts what came with a token into the account's settings (AK-013).
    async fn store_values(
        &self,
        tx: &mut Tx,
        id: ConnectedAccountId,
        values: Map<String, Value>,
    ) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        let now = self.ctx().clock.now();
        let Some(row) = connected_accounts::lock(tx, id).await? else {
            return Ok(());
        };
        let current = Account::from_row(&row, now)?;
        let config = Value::Object(merged_config(&current.api_config, values));
        if row.api_config != config {
            let selection = row.scope_selection.as_ref();
            connected_accounts::set_config(tx, id, &config, selection, now).await?;
        }
        Ok(())
    }

    /// Reads an account after a change and leaves it for those who wait.
    async fn reread(&self, env: EnvironmentId, id: ConnectedAccountId) -> Result<Arc<Grounds>> {
        self.snapshots().forget(env, id);
        let moment = self.snapshots().moment();
        let grounds = self.grounds_of(env, id).await?;
        self.snapshots().put(moment, &grounds);
        Ok(grounds)
    }

    /// A definitive failure: the account is expired, unless somebody stored a newer credential
    /// meanwhile (AK-223, AK-224).
    pub(super) async fn refused(
        &self,
        grounds: Arc<Grounds>,
        reason: &str,
    ) -> Result<Arc<Grounds>> {
        self.give_up(&grounds, reason).await?;
        let current = self.reread(grounds.environment, grounds.account.id).await?;
        current.require_active()?;
        Ok(current)
    }

    pub(super) async fn give_up(&self, grounds: &Grounds, reason: &str) -> Result<()> {
        let (env, id) = (grounds.environment, grounds.account.id);
        let now = self.ctx().clock.now();
        let version = grounds.account.credential_version;
        let mut tx = self.ctx().db.begin(env).await?;
        if !connected_accounts::refresh_refused(&mut tx, id, version, reason, now).await? {
            return Ok(());
        }
        let old = grounds.account.status;
        let account = grounds.account_in(AccountStatus::Expired);
        let (ctx, connection) = (self.ctx(), &grounds.connection);
        record::account_event(
            &mut tx,
            ctx,
            AccountEvent::TokenRefreshFailed,
            &account,
            connection,
            reason,
        )
        .await?;
        record::status_change(&mut tx, ctx, &account, connection, old).await?;
        tx.commit().await?;
        self.snapshots().forget(env, id);
        Ok(())
    }

    /// A transient failure: the grant is kept, the next try comes later (AK-224).
    pub(super) async fn postpone(
        &self,
        grounds: Arc<Grounds>,
        force: Force,
        reason: &str,
    ) -> Result<Arc<Grounds>> {
        let (env, id) = (grounds.environment, grounds.account.id);
        let now = self.ctx().clock.now();
        let pause = backoff(grounds.account.refresh_failures);
        let version = grounds.account.credential_version;
        let mut tx = self.ctx().db.begin(env).await?;
        if connected_accounts::refresh_postponed(&mut tx, id, version, now.plus(pause)).await? {
            let (ctx, connection) = (self.ctx(), &grounds.connection);
            record::account_event(
                &mut tx,
                ctx,
                AccountEvent::TokenRefreshFailed,
                &grounds.account,
                connection,
                reason,
            )
            .await?;
            tx.commit().await?;
        }
        self.reread(env, id).await?;
        if force == Force::IfDue && grounds.token_is_live(now) {
            return Ok(grounds);
        }
        Err(Error::ProviderUnavailable(reason.to_owned()))
    }
}

/// 1, 2, 4 … seconds, at most an hour.
fn backoff(failures: i64) -> Duration {
    let exponent = u32::try_from(failures.clamp(0, 12)).unwrap_or(12);
    Duration::from_secs(1_u64 << exponent).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AK-224
    #[test]
    fn the_pause_doubles_up_to_an_hour() {
        let seconds: Vec<u64> = [0, 1, 2, 5, 12, 1000]
            .map(|n| backoff(n).as_secs())
            .to_vec();
        assert_eq!(seconds, [1, 2, 4, 32, 3600, 3600]);
    }
}
