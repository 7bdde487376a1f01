//! Creating accounts (AK-201, AK-202).

use super::{
    Account, AccountStatus, CredentialInput, Grounds,
    api_config::check_api_config,
    credential::{first_refresh, no_own_credential},
    grounds::Derived,
    pattern_of,
};
use crate::{
    AgentKit, Error,
    connections::AuthMode,
    error::Result,
    providers::AuthKind,
    record::{self, AccountEvent},
    vault::Credential,
};
use keystead_identity::Actor;
use keystead_store::entities::connected_accounts::{self, AccountRow, OWNER_INDEX};
use keystead_types::{ConnectedAccountId, EnvironmentId};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization;

/// A new account.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// Connection name.
    pub connector: String,
    /// The developer's name for the user.
    pub identifier: String,
    /// Organization or empty.
    pub organization_id: String,
    /// User or empty.
    pub user_id: String,
    /// Credential, if there is one already.
    pub credential: CredentialInput,
    /// Account settings.
    pub api_config: Map<String, Value>,
}

impl AgentKit {
    /// Creates an account; without a usable credential it waits for the user (AK-202).
    ///
    /// # Errors
    /// [`Error::ConnectionNotFound`], [`Error::AccountExists`], [`Error::AuthTypeMismatch`],
    /// [`Error::Invalid`].
    pub async fn create_account(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        new: NewAccount,
    ) -> Result<Arc<Grounds>> {
        if new.connector.is_empty() || new.identifier.is_empty() {
            return Err(Error::NoAddress);
        }
        let connection = self.connection_named(env, &new.connector).await?;
        let provider = self.provider(env, &connection.provider_key).await?;
        let pattern = pattern_of(&provider, connection.kind)?;
        check_api_config(&new.api_config)?;
        let absent = new.credential.is_absent();
        if connection.auth_mode == AuthMode::OrgWide && !absent {
            return Err(no_own_credential());
        }
        let credential = if absent {
            Credential::default()
        } else {
            new.credential
                .merged(&connection, &pattern, &Credential::default())?
        };
        let usable = connection.kind == AuthKind::NoAuth
            || (!absent && credential.is_usable(connection.kind));
        let now = self.ctx().clock.now();
        let id: ConnectedAccountId = self.ctx().ids.next(&*self.ctx().clock);
        let sealed = self.sealed(env, id, usable, &credential).await?;
        let status = if usable {
            AccountStatus::Active
        } else {
            AccountStatus::PendingAuth
        };
        let row = AccountRow {
            id,
            connection_id: connection.id,
            identifier: checked_identifier(&new.identifier)?,
            organization_id: new.organization_id,
            user_id: new.user_id,
            status: status.as_str().to_owned(),
            status_reason: String::new(),
            api_config: Value::Object(new.api_config),
            scope_selection: None,
            scopes: json!(credential.scopes),
            credential_version: i64::from(sealed.is_some()),
            credential: sealed,
            token_expires_at: None,
            refresh_due_at: first_refresh(&pattern, usable, now),
            refresh_not_before: None,
            refresh_failures: 0,
            lease_holder: None,
            lease_until: None,
            last_refreshed_at: None,
            last_used_at: None,
            is_org_wide: false,
            created_at: now,
            updated_at: now,
            pending_until: None,
        };
        let account = Account::from_row(&row, self.ctx().clock.now())?;
        let mut tx = self.ctx().db.begin(env).await?;
        connected_accounts::insert(&mut tx, &row)
            .await
            .map_err(|error| {
                if error.is_unique_violation(OWNER_INDEX) {
                    Error::AccountExists(account.identifier.clone())
                } else {
                    error.into()
                }
            })?;
        let ctx = self.ctx();
        record::account_event(
            &mut tx,
            ctx,
            AccountEvent::Created,
            &account,
            &connection,
            "",
        )
        .await?;
        record::audit(
            &mut tx,
            ctx,
            actor,
            "connected_account.created",
            &id.to_string(),
        )
        .await?;
        tx.commit().await?;
        self.snapshots().forget_address(env, &account.identifier);
        Ok(Arc::new(Grounds {
            environment: env,
            account,
            row,
            connection,
            provider,
            pattern,
            credential,
            shared: None,
            derived: Derived::default(),
        }))
    }
}

/// Identifiers are opaque: NFC, no whitespace around, no control characters (4.2).
fn checked_identifier(identifier: &str) -> Result<String> {
    let refuse = |why| Err(Error::field("identifier", why));
    if identifier.trim() != identifier {
        return refuse("must not begin or end with white space");
    }
    if identifier.chars().any(char::is_control) {
        return refuse("must not hold tabs, line breaks or other control characters");
    }
    Ok(identifier.nfc().collect())
}
