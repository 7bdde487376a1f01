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
    entities::connected_accounts::{self, LeaseRequest, NewCredential, Refused},
};
use keystead_types::{ConnectedAccountId, EnvironmentId, Timestamp};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Longest pause after transient failures (AK-224).
const MAX_BACKOFF: Duration = Duration::from_secs(3600);

/// How long storing is tried again: what a provider issued cannot be had a second time.
const STORE_FOR: Duration = Duration::from_secs(60);
const LONGEST_STORE_PAUSE: Duration = Duration::from_secs(2);

/// Of whoever gives up without having a lease.
pub(super) const NO_HOLDER: &str = "";

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
        // A commit whose answer was lost changed the version: the next try then writes nothing.
        let stored = while_database_fails(|| self.try_store(&grounds, &fresh)).await?;
        if stored {
            if let Some(client) = &fresh.credential.client {
                self.remember_way(&grounds, client).await;
            }
            return self.reread(env, id).await;
        }
        // Disconnected, deleted or authorized anew meanwhile: nothing is written back.
        let current = match self.reread(env, id).await {
            Ok(current) => current.require_active().map(|()| current),
            Err(error) => Err(error),
        };
        match &current {
            Ok(current) if current.credential.access_token == fresh.credential.access_token => {}
            Ok(_) => self.revoke_unused(&grounds, &fresh.credential),
            Err(Error::Internal(_)) => {}
            // The user's grant ended with the account, so what was issued under it has to end too.
            Err(_) => self.revoke_grant(&grounds, &fresh.credential),
        }
        current
    }

    /// `false` when the credential is not the one that was refreshed any more.
    async fn try_store(&self, grounds: &Grounds, fresh: &Fresh) -> Result<bool> {
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
            return Ok(false);
        }
        self.store_values(&mut tx, id, fresh.account_values.clone())
            .await?;
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
        Ok(true)
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
        while_database_fails(|| self.give_up(&grounds, self.holder(), reason)).await?;
        let current = self.reread(grounds.environment, grounds.account.id).await?;
        current.require_active()?;
        Ok(current)
    }

    /// Expires the account, unless somebody else is refreshing it: `holder` has the lease, or nobody.
    /// `false` when it changed meanwhile.
    pub(super) async fn give_up(
        &self,
        grounds: &Grounds,
        holder: &str,
        reason: &str,
    ) -> Result<bool> {
        let (env, id) = (grounds.environment, grounds.account.id);
        let now = self.ctx().clock.now();
        let version = grounds.account.credential_version;
        let mut tx = self.ctx().db.begin(env).await?;
        let refused = Refused {
            id,
            version,
            holder,
            reason,
        };
        if !connected_accounts::refresh_refused(&mut tx, &refused, now).await? {
            return Ok(false);
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
        Ok(true)
    }

    /// A transient failure: the grant is kept, the next try comes later (AK-224).
    pub(super) async fn postpone(
        &self,
        grounds: Arc<Grounds>,
        force: Force,
        reason: &str,
    ) -> Result<Arc<Grounds>> {
        let (env, id) = (grounds.environment, grounds.account.id);
        // A lease that stays behind would look like a token that was sent by somebody who died.
        while_database_fails(|| self.try_postpone(&grounds, reason)).await?;
        let now = self.ctx().clock.now();
        self.reread(env, id).await?;
        if force == Force::IfDue && grounds.token_is_live(now) {
            return Ok(grounds);
        }
        Err(Error::ProviderUnavailable(reason.to_owned()))
    }

    async fn try_postpone(&self, grounds: &Grounds, reason: &str) -> Result<()> {
        let lease = LeaseRequest {
            id: grounds.account.id,
            version: grounds.account.credential_version,
            holder: self.holder(),
            until: self
                .ctx()
                .clock
                .now()
                .plus(backoff(grounds.account.refresh_failures)),
        };
        let mut tx = self.ctx().db.begin(grounds.environment).await?;
        if connected_accounts::refresh_postponed(&mut tx, &lease).await? {
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
        Ok(())
    }
}

/// Does `work` again while the database cannot do it, for [`STORE_FOR`].
async fn while_database_fails<T, F>(work: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let (began, mut pause) = (Instant::now(), Duration::from_millis(50));
    loop {
        match work().await {
            Err(error) if error.is_transient() && began.elapsed() < STORE_FOR => {
                tracing::warn!(%error, "what became of a refresh could not be stored yet");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_STORE_PAUSE);
            }
            done => return done,
        }
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
