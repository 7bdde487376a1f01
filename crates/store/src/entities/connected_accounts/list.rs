//! Lists of connected accounts (AK-209, AK-210).

use super::AccountRow;
use crate::{Query, Sql, StoreError, Window, entities, sql};
use keystead_types::{ConnectedAccountId, ConnectionId, Timestamp};

const LIST: Sql = sql!(
    "connected_accounts.list",
    "SELECT a.* FROM connected_accounts a JOIN connections c ON c.env_id = a.env_id AND c.id = a.connection_id
     WHERE a.env_id = $1 AND a.id < $2
       AND ($3 = '' OR $3 LIKE '%,' || a.connection_id || ',%')
       AND ($4 = '' OR a.identifier = $4) AND ($5 = '' OR a.organization_id = $5) AND ($6 = '' OR a.user_id = $6)
       AND ($7 = '' OR CASE WHEN a.pending_until > $10 THEN 'PENDING_VERIFICATION' ELSE a.status END = $7)
       AND ($8 = '' OR LOWER(a.identifier) LIKE $8 ESCAPE '\\' OR c.key_id_lower LIKE $8 ESCAPE '\\' OR LOWER(c.provider_key) LIKE $8 ESCAPE '\\')
       AND ($9 = '' OR (a.is_org_wide AND $9 = 'yes') OR (NOT a.is_org_wide AND $9 = 'no'))
     ORDER BY a.id DESC LIMIT $11"
);
const LIST_BACK: Sql = sql!(
    "connected_accounts.list_back",
    "SELECT a.* FROM connected_accounts a JOIN connections c ON c.env_id = a.env_id AND c.id = a.connection_id
     WHERE a.env_id = $1 AND a.id > $2
       AND ($3 = '' OR $3 LIKE '%,' || a.connection_id || ',%')
       AND ($4 = '' OR a.identifier = $4) AND ($5 = '' OR a.organization_id = $5) AND ($6 = '' OR a.user_id = $6)
       AND ($7 = '' OR CASE WHEN a.pending_until > $10 THEN 'PENDING_VERIFICATION' ELSE a.status END = $7)
       AND ($8 = '' OR LOWER(a.identifier) LIKE $8 ESCAPE '\\' OR c.key_id_lower LIKE $8 ESCAPE '\\' OR LOWER(c.provider_key) LIKE $8 ESCAPE '\\')
       AND ($9 = '' OR (a.is_org_wide AND $9 = 'yes') OR (NOT a.is_org_wide AND $9 = 'no'))
     ORDER BY a.id LIMIT $11"
);
const COUNT: Sql = sql!(
    "connected_accounts.count",
    "SELECT COUNT(*) AS total FROM connected_accounts a JOIN connections c ON c.env_id = a.env_id AND c.id = a.connection_id
     WHERE a.env_id = $1
       AND ($2 = '' OR $2 LIKE '%,' || a.connection_id || ',%')
       AND ($3 = '' OR a.identifier = $3) AND ($4 = '' OR a.organization_id = $4) AND ($5 = '' OR a.user_id = $5)
       AND ($6 = '' OR CASE WHEN a.pending_until > $9 THEN 'PENDING_VERIFICATION' ELSE a.status END = $6)
       AND ($7 = '' OR LOWER(a.identifier) LIKE $7 ESCAPE '\\' OR c.key_id_lower LIKE $7 ESCAPE '\\' OR LOWER(c.provider_key) LIKE $7 ESCAPE '\\')
       AND ($8 = '' OR (a.is_org_wide AND $8 = 'yes') OR (NOT a.is_org_wide AND $8 = 'no'))"
);
const COUNT_OF_CONNECTION: Sql = sql!(
    "connected_accounts.count_of_connection",
    "SELECT COUNT(*) AS total FROM connected_accounts WHERE env_id = $1 AND connection_id = $2"
);
pub(crate) const STATEMENTS: &[Sql] = &[LIST, LIST_BACK, COUNT, COUNT_OF_CONNECTION];

/// Which accounts a list holds; empty texts match any.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountFilter {
    /// Connections; none matches any.
    pub connections: Vec<ConnectionId>,
    /// Exact identifier.
    pub identifier: String,
    /// Exact organization.
    pub organization_id: String,
    /// Exact user.
    pub user_id: String,
    /// State, `PENDING_VERIFICATION` included.
    pub status: String,
    /// When the question is asked, since a waiting grant changes the state for a time.
    pub now: Timestamp,
    /// Part of identifier, connection name or connector.
    pub query: String,
    /// Only shared, or only own, credentials.
    pub is_org_wide: Option<bool>,
}

impl AccountFilter {
    fn connections_text(&self) -> String {
        if self.connections.is_empty() {
            return String::new();
        }
        let ids: Vec<String> = self.connections.iter().map(ToString::to_string).collect();
        format!(",{},", ids.join(","))
    }

    fn query_text(&self) -> String {
        if self.query.is_empty() {
            String::new()
        } else {
            entities::contains_pattern(&self.query.to_lowercase())
        }
    }

    fn org_wide_text(&self) -> &'static str {
        match self.is_org_wide {
            None => "",
            Some(true) => "yes",
            Some(false) => "no",
        }
    }
}

/// The rows of a page, newest first.
pub async fn list(
    db: &mut impl Query,
    filter: &AccountFilter,
    window: &Window<'_>,
) -> Result<Vec<AccountRow>, StoreError> {
    let mut start = window.id::<ConnectedAccountId>();
    if start.is_empty() {
        // After every id, since digits sort before `~`.
        start.push_str("ca_~");
    }
    let params = (
        db.env(),
        start,
        filter.connections_text(),
        &filter.identifier,
        &filter.organization_id,
        &filter.user_id,
        &filter.status,
        filter.query_text(),
        filter.org_wide_text(),
        filter.now,
        window.limit(),
    );
    db.fetch_all_as(window.choose(LIST, LIST_BACK), params)
        .await
}

/// How many accounts the filter holds.
pub async fn count(db: &mut impl Query, filter: &AccountFilter) -> Result<u64, StoreError> {
    let params = (
        db.env(),
        filter.connections_text(),
        &filter.identifier,
        &filter.organization_id,
        &filter.user_id,
        &filter.status,
        filter.query_text(),
        filter.org_wide_text(),
        filter.now,
    );
    let total: Option<entities::Total> = db.fetch_optional_as(COUNT, params).await?;
    Ok(total.map_or(0, |total| total.0))
}

/// How many accounts a connection has.
pub async fn count_of_connection(db: &mut impl Query, id: ConnectionId) -> Result<u64, StoreError> {
    let params = (db.env(), id);
    let total: Option<entities::Total> = db.fetch_optional_as(COUNT_OF_CONNECTION, params).await?;
    Ok(total.map_or(0, |total| total.0))
}
