//! Accounts that go with what they belong to: an organization or a connection (DR-010, AK-121).

use crate::{Execute, FromRow, Query, Row, Sql, StoreError, Tx, sql};
use keystead_types::{ConnectedAccountId, ConnectionId, OrganizationId, Timestamp};

/// Keeps the credential, which is needed to revoke the grant.
const CUT_OFF: Sql = sql!(
    "account_removal.cut_off",
    "UPDATE connected_accounts SET status = 'DISCONNECTED', status_reason = $3, credential_version = credential_version + 1,
            refresh_due_at = NULL, lease_holder = NULL, lease_until = NULL, pending_until = NULL, removed_at = $4, updated_at = $4
     WHERE env_id = $1 AND organization_id = $2"
);
const COMPLETE_LINKS: Sql = sql!(
    "account_removal.complete_links",
    "UPDATE auth_links SET completed_at = $3
     WHERE env_id = $1 AND completed_at IS NULL
       AND account_id IN (SELECT id FROM connected_accounts WHERE env_id = $1 AND organization_id = $2)"
);
const OF_ORGANIZATION: Sql = sql!(
    "account_removal.of_organization",
    "SELECT id FROM connected_accounts WHERE env_id = $1 AND organization_id = $2 AND id > $3 ORDER BY id LIMIT $4"
);
const OF_CONNECTION: Sql = sql!(
    "account_removal.of_connection",
    "SELECT id FROM connected_accounts WHERE env_id = $1 AND connection_id = $2 AND id > $3 ORDER BY id LIMIT $4"
);
pub(crate) const STATEMENTS: &[Sql] = &[CUT_OFF, COMPLETE_LINKS, OF_ORGANIZATION, OF_CONNECTION];

/// What accounts belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// An organization.
    Organization(OrganizationId),
    /// A connection.
    Connection(ConnectionId),
}

struct Found(ConnectedAccountId);

impl FromRow for Found {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.get("id").map(Self)
    }
}

/// Promises that the accounts of an organization will be removed, which nothing takes back: they act
/// no more, a refresh that is under way stores nothing, and [`connected_accounts::lock`] passes them
/// over. Grants that wait are left to the removal, which revokes them. Gives how many accounts there are.
///
/// [`connected_accounts::lock`]: crate::connected_accounts::lock
pub async fn cut_off(
    tx: &mut Tx,
    organization: OrganizationId,
    reason: &str,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let params = (tx.env(), organization, reason, now);
    let count = tx.execute(CUT_OFF, params).await?;
    tx.execute(COMPLETE_LINKS, (tx.env(), organization, now))
        .await?;
    Ok(count)
}

/// At most `limit` accounts after `after`, by id.
pub async fn accounts(
    db: &mut impl Query,
    owner: Owner,
    after: Option<ConnectedAccountId>,
    limit: u32,
) -> Result<Vec<ConnectedAccountId>, StoreError> {
    let after = after.map_or_else(String::new, |id| id.to_string());
    let env = db.env();
    let found: Vec<Found> = match owner {
        Owner::Organization(id) => {
            db.fetch_all_as(OF_ORGANIZATION, (env, id, after, limit))
                .await?
        }
        Owner::Connection(id) => {
            db.fetch_all_as(OF_CONNECTION, (env, id, after, limit))
                .await?
        }
    };
    Ok(found.into_iter().map(|Found(id)| id).collect())
}
