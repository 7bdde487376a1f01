//! A connected account: one user's access through one connection (AK-200).

use crate::connections::stored_names;
use keystead_store::entities::connected_accounts::AccountRow;
use keystead_types::{ConnectedAccountId, ConnectionId, Internal, Timestamp};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

/// A connected account without its credential.
#[derive(Clone, PartialEq, Debug)]
pub struct Account {
    /// Id.
    pub id: ConnectedAccountId,
    /// Connection it belongs to.
    pub connection_id: ConnectionId,
    /// The developer's name for the user.
    pub identifier: String,
    /// Organization, empty when none.
    pub organization_id: String,
    /// User, empty when none.
    pub user_id: String,
    /// State.
    pub status: AccountStatus,
    /// Why it is in this state, when that is not obvious. Never a secret.
    pub status_reason: String,
    /// Account settings of the developer, returned unchanged.
    pub api_config: Map<String, Value>,
    /// Scopes the user chose; `None` means all of the connection (AK-307).
    pub scope_selection: Option<ScopeSelection>,
    /// Granted scopes (AK-216).
    pub scopes: Vec<String>,
    /// Grows with every change of the credential; zero when there never was one.
    pub credential_version: i64,
    /// End of the access token, when known.
    pub token_expires_at: Option<Timestamp>,
    /// Failed refreshes in a row.
    pub refresh_failures: i64,
    /// Last successful refresh.
    pub last_refreshed_at: Option<Timestamp>,
    /// Last use, to the minute (AK-217).
    pub last_used_at: Option<Timestamp>,
    /// The shared credential of an ORG_WIDE connection.
    pub is_org_wide: bool,
    /// Creation.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// State of a connected account (1.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AccountStatus {
    /// Has a live credential.
    Active,
    /// The credential no longer works; the user must authorize again.
    Expired,
    /// The user has not authorized yet.
    PendingAuth,
    /// Consent is given, the application has not confirmed the user yet.
    PendingVerification,
    /// Cut off on purpose.
    Disconnected,
}

stored_names!(AccountStatus {
    Active = "ACTIVE",
    Expired = "EXPIRED",
    PendingAuth = "PENDING_AUTH",
    PendingVerification = "PENDING_VERIFICATION",
    Disconnected = "DISCONNECTED"
});

/// The scopes a user chose (AK-307).
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct ScopeSelection {
    /// From the connection's scopes.
    pub scopes: Vec<String>,
    /// From its optional scopes.
    pub optional_scopes: Vec<String>,
}

/// How a caller names an account (AK-207). Empty texts count as absent.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct AccountKey {
    /// Account id; decides alone on reads.
    pub id: Option<String>,
    /// Connection name.
    pub connector: Option<String>,
    /// The developer's name for the user.
    pub identifier: Option<String>,
    /// Organization; absent matches any.
    pub organization_id: Option<String>,
    /// User; absent matches any.
    pub user_id: Option<String>,
}

impl AccountKey {
    /// Turns empty texts into absent ones, and the identifier into NFC (4.2).
    #[must_use]
    pub fn normalised(self) -> Self {
        let set = |value: Option<String>| value.filter(|text| !text.is_empty());
        Self {
            id: set(self.id),
            connector: set(self.connector),
            identifier: set(self.identifier).map(|text| text.as_str().nfc().collect()),
            organization_id: set(self.organization_id),
            user_id: set(self.user_id),
        }
    }
}

impl Account {
    /// Reads a row. A grant that waits for verification shows until it is verified or lapses; then
    /// the account is in the state it had before, without anybody writing it (AK-322, AK-323).
    pub(crate) fn from_row(row: &AccountRow, now: Timestamp) -> Result<Self, Internal> {
        let waits = row.pending_until.is_some_and(|until| until > now);
        let status = if waits {
            AccountStatus::PendingVerification
        } else {
            own_status(row)?
        };
        let api_config = match &row.api_config {
            Value::Object(map) => map.clone(),
            _ => Map::new(),
        };
        let selection = row.scope_selection.clone().filter(|value| !value.is_null());
        Ok(Self {
            id: row.id,
            connection_id: row.connection_id,
            identifier: row.identifier.clone(),
            organization_id: row.organization_id.clone(),
            user_id: row.user_id.clone(),
            status,
            status_reason: if waits {
                String::new()
            } else {
                row.status_reason.clone()
            },
            api_config,
            scope_selection: selection
                .map(serde_json::from_value)
                .transpose()
                .map_err(Internal::new)?,
            scopes: serde_json::from_value(row.scopes.clone()).map_err(Internal::new)?,
            credential_version: row.credential_version,
            token_expires_at: row.token_expires_at,
            refresh_failures: row.refresh_failures,
            last_refreshed_at: row.last_refreshed_at,
            last_used_at: row.last_used_at,
            is_org_wide: row.is_org_wide,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// The state of an account without regard to a waiting grant.
pub(crate) fn own_status(row: &AccountRow) -> Result<AccountStatus, Internal> {
    AccountStatus::parse(&row.status)
        .ok_or_else(|| Internal::new(format!("{} has an unknown status", row.id)))
}
