//! The credential of an account: reading it, and sealing one that came from outside (AK-205).

use super::{AccountKey, AccountStatus, Grounds};
use crate::{
    AgentKit, Error,
    error::Result,
    providers::AuthPattern,
    record,
    vault::{Credential, Sealed},
};
use keystead_identity::Actor;
use keystead_store::entities::connected_accounts::NewCredential;
use keystead_types::{ConnectedAccountId, EnvironmentId, Timestamp};
use serde_json::json;
use std::sync::Arc;

impl AgentKit {
    /// The account with its credential, refreshed when it is due (AK-205). Audited.
    ///
    /// # Errors
    /// Those of finding it; [`Error::ConnectionDisabled`] and [`Error::ConnectionDraft`] when there is
    /// a credential; [`Error::ProviderUnavailable`] when the token is dead and the provider
    /// cannot be asked.
    pub async fn read_credential(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        key: AccountKey,
    ) -> Result<Arc<Grounds>> {
        let grounds = self.grounds(env, key).await?;
        if grounds.account.is_org_wide {
            return Err(Error::SharedCredential("name the account of a user"));
        }
        let grounds = match grounds.require_active() {
            Ok(()) => match self.acting_fresh(&grounds).await {
                Ok(fresh) => fresh,
                // The state is part of the answer.
                Err(Error::AccountNotActive { .. }) => {
                    self.grounds_of(env, grounds.account.id).await?
                }
                Err(other) => return Err(other),
            },
            Err(error @ (Error::ConnectionDisabled(_) | Error::ConnectionDraft { .. }))
                if grounds.row.credential.is_some() =>
            {
                return Err(error);
            }
            Err(_) => grounds,
        };
        // SECURITY: one that was cut off keeps its credential until it is removed, to revoke it.
        let grounds = if grounds.own_status() == AccountStatus::Disconnected {
            Arc::new(Grounds {
                credential: Credential::default(),
                ..Grounds::clone(&grounds)
            })
        } else {
            grounds
        };
        let mut tx = self.ctx().db.begin(env).await?;
        let target = grounds.account.id.to_string();
        record::audit(
            &mut tx,
            self.ctx(),
            actor,
            "connected_account.credential_read",
            &target,
        )
        .await?;
        tx.commit().await?;
        Ok(grounds)
    }

    /// Seals a credential that came from outside a refresh.
    pub(crate) async fn sealed_credential(
        &self,
        grounds: &Grounds,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<NewCredential> {
        self.sealed_grant(grounds, credential, None, now).await
    }

    /// Seals a credential with the end of its access token.
    pub(crate) async fn sealed_grant(
        &self,
        grounds: &Grounds,
        credential: &Credential,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<NewCredential> {
        let (env, id) = (grounds.environment, grounds.account.id);
        let due = grounds
            .refresh_due(now, expires_at, credential)
            .or_else(|| first_refresh(&grounds.pattern, expires_at.is_none(), now));
        Ok(NewCredential {
            status: AccountStatus::Active.as_str().to_owned(),
            scopes: json!(credential.scopes),
            sealed: self.sealed(env, id, true, credential).await?,
            expires_at,
            refresh_due_at: due,
        })
    }

    pub(super) async fn sealed(
        &self,
        env: EnvironmentId,
        id: ConnectedAccountId,
        usable: bool,
        credential: &Credential,
    ) -> Result<Option<Vec<u8>>> {
        if !usable {
            return Ok(None);
        }
        Ok(Some(
            self.seal(env, Sealed::Account(&id.to_string()), credential)
                .await?,
        ))
    }
}

/// The users of the connection share one (AK-241).
pub(super) fn no_own_credential() -> Error {
    Error::field(
        "authorization_details",
        "cannot be stored: the users of the connection share one credential (ORG_WIDE)",
    )
}

/// Tokens that are minted have none at first.
pub(super) fn first_refresh(
    pattern: &AuthPattern,
    usable: bool,
    now: Timestamp,
) -> Option<Timestamp> {
    (usable && pattern.is_minted()).then_some(now)
}
