//! Finding the account a caller means (AK-207, AK-208).

use super::{Account, AccountKey, Grounds};
use crate::{AgentKit, Error, error::Result};
use keystead_store::{
    Query,
    entities::connected_accounts::{self, AccountRow},
};
use keystead_types::{ConnectedAccountId, EnvironmentId};
use std::sync::Arc;

impl AgentKit {
    /// The account of a key, without its credential.
    ///
    /// # Errors
    /// [`Error::NoAddress`], [`Error::ConnectionNotFound`], [`Error::AccountNotFound`],
    /// [`Error::Ambiguous`].
    pub async fn account(&self, env: EnvironmentId, key: AccountKey) -> Result<Account> {
        let row = self
            .account_row(&mut self.ctx().db.read(env), &key.normalised())
            .await?;
        Ok(Account::from_row(&row, self.ctx().clock.now())?)
    }

    /// The account of a key with all that belongs to it.
    pub async fn grounds(&self, env: EnvironmentId, key: AccountKey) -> Result<Arc<Grounds>> {
        let row = self
            .account_row(&mut self.ctx().db.read(env), &key.normalised())
            .await?;
        self.grounds_from(env, row).await
    }

    /// The row of a normalised key.
    pub(crate) async fn account_row(
        &self,
        db: &mut impl Query,
        key: &AccountKey,
    ) -> Result<AccountRow> {
        if let Some(id) = &key.id {
            let id: ConnectedAccountId = id.parse().map_err(|_| Error::AccountNotFound)?;
            return connected_accounts::find(db, id)
                .await?
                .ok_or(Error::AccountNotFound);
        }
        let (Some(connector), Some(identifier)) = (&key.connector, &key.identifier) else {
            return Err(Error::NoAddress);
        };
        let connection = self.connection_row_named(db, connector).await?;
        let organization = key.organization_id.as_deref().unwrap_or("");
        let user = key.user_id.as_deref().unwrap_or("");
        let found =
            connected_accounts::matching(db, connection.id, identifier, organization, user).await?;
        one_of(found)
    }

    /// On writes the other keys must not contradict the id (AK-207).
    pub(crate) async fn require_consistent(
        &self,
        env: EnvironmentId,
        key: &AccountKey,
        account: &Account,
    ) -> Result<()> {
        if key.id.is_none() {
            return Ok(());
        }
        let differs = |sent: &Option<String>, stored: &str| {
            sent.as_deref().is_some_and(|sent| sent != stored)
        };
        let mut contradiction = differs(&key.identifier, &account.identifier)
            || differs(&key.organization_id, &account.organization_id)
            || differs(&key.user_id, &account.user_id);
        if let Some(name) = &key.connector {
            contradiction |= self.connection_named(env, name).await?.id != account.connection_id;
        }
        if contradiction {
            return Err(Error::field(
                "id",
                "names another account than the other fields",
            ));
        }
        Ok(())
    }
}

/// The only match; of several the one that belongs to no organization and user.
fn one_of(mut found: Vec<AccountRow>) -> Result<AccountRow> {
    if found.len() > 1 {
        let plain = |row: &AccountRow| row.organization_id.is_empty() && row.user_id.is_empty();
        if let Some(at) = found.iter().position(plain) {
            return Ok(found.swap_remove(at));
        }
        let ids: Vec<String> = found.iter().map(|row| row.id.to_string()).collect();
        return Err(Error::Ambiguous(ids.join(", ")));
    }
    found.pop().ok_or(Error::AccountNotFound)
}
