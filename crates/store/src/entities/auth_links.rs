//! Authorization links, the trips to a provider they start, and grants that wait for the
//! application's word (AK-300..AK-323).

use crate::{
    AdminSql, Execute, Fetch, FromRow, Query, Row, Sql, StoreError, Tx, admin, admin_sql, sql,
};
use keystead_types::{AuthRequestId, ConnectedAccountId, ConnectionId, EnvironmentId, Timestamp};

/// A row of `auth_links`.
#[derive(Clone, PartialEq, Debug)]
pub struct LinkRow {
    /// Id.
    pub id: AuthRequestId,
    /// Account the link authorizes.
    pub account_id: ConnectedAccountId,
    /// Who the link was made for.
    pub identifier: String,
    /// The developer's `state`, returned unchanged.
    pub client_state: String,
    /// Where the browser goes for verification; may be empty.
    pub user_verify_url: String,
    /// Creation.
    pub created_at: Timestamp,
    /// End.
    pub expires_at: Timestamp,
    /// When the flow was finished.
    pub completed_at: Option<Timestamp>,
}

/// A row of `auth_flows`.
#[derive(Clone, PartialEq, Debug)]
pub struct FlowRow {
    /// Id.
    pub id: AuthRequestId,
    /// Link that started it.
    pub link_id: AuthRequestId,
    /// Connection it belongs to.
    pub connection_id: ConnectionId,
    /// Keyed hash of the browser cookie.
    pub browser_hash: Vec<u8>,
    /// Sealed PKCE verifier and client.
    pub sealed: Vec<u8>,
    /// Scopes asked for, JSON list.
    pub scopes: serde_json::Value,
}

/// A row of `pending_grants`.
#[derive(Clone, PartialEq, Debug)]
pub struct PendingGrantRow {
    /// Link.
    pub link_id: AuthRequestId,
    /// Account.
    pub account_id: ConnectedAccountId,
    /// Who must be named.
    pub identifier: String,
    /// Sealed credential.
    pub sealed: Vec<u8>,
    /// Wrong tries so far.
    pub attempts: i64,
}

const INSERT_LINK: Sql = sql!(
    "auth_links.insert",
    "INSERT INTO auth_links (env_id, id, token_hash, account_id, identifier, client_state, user_verify_url, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
);
const FIND_LINK: Sql = sql!(
    "auth_links.find_live",
    "SELECT * FROM auth_links WHERE env_id = $1 AND token_hash = $2 AND completed_at IS NULL AND expires_at > $3"
);
const FIND_LINK_BY_ID: Sql = sql!(
    "auth_links.find_by_id",
    "SELECT * FROM auth_links WHERE env_id = $1 AND id = $2"
);
/// Completion of one link voids all of the account (AK-301).
const COMPLETE_LINKS: Sql = sql!(
    "auth_links.complete",
    "UPDATE auth_links SET completed_at = $3 WHERE env_id = $1 AND account_id = $2 AND completed_at IS NULL"
);
const COMPLETE_LINK: Sql = sql!(
    "auth_links.complete_one",
    "UPDATE auth_links SET completed_at = $3 WHERE env_id = $1 AND id = $2 AND completed_at IS NULL AND expires_at > $3"
);
/// A consent that began in time is finished however long it took; its flow and its waiting grant end
/// by themselves (AK-322).
const COMPLETE_CONSENTED: Sql = sql!(
    "auth_links.complete_consented",
    "UPDATE auth_links SET completed_at = $3 WHERE env_id = $1 AND id = $2 AND completed_at IS NULL"
);
const INSERT_FLOW: Sql = sql!(
    "auth_flows.insert",
    "INSERT INTO auth_flows (env_id, id, link_id, connection_id, state_hash, browser_hash, sealed, scopes, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
);
const FIND_FLOW: Sql = sql!(
    "auth_flows.find_live",
    "SELECT * FROM auth_flows
     WHERE env_id = $1 AND state_hash = $2 AND browser_hash = $3 AND used_at IS NULL AND expires_at > $4"
);
/// Single use: the first callback gets the row, every other one nothing.
const REDEEM_FLOW: Sql = sql!(
    "auth_flows.redeem",
    "UPDATE auth_flows SET used_at = $5
     WHERE env_id = $1 AND state_hash = $2 AND connection_id = $3 AND browser_hash = $4 AND used_at IS NULL AND expires_at > $5
     RETURNING *"
);
const OPEN_FLOWS: Sql = sql!(
    "auth_flows.open_of_account",
    "SELECT * FROM auth_flows
     WHERE env_id = $1 AND used_at IS NULL
       AND link_id IN (SELECT id FROM auth_links WHERE env_id = $1 AND account_id = $2)"
);
const ABANDONED_FLOWS: AdminSql = admin_sql!(
    "auth_flows.abandoned",
    "SELECT env_id, id FROM auth_flows WHERE used_at IS NULL AND expires_at <= $1 ORDER BY expires_at LIMIT $2"
);
/// One of several nodes gets the row.
const DROP_ABANDONED_FLOW: Sql = sql!(
    "auth_flows.drop_abandoned",
    "DELETE FROM auth_flows WHERE env_id = $1 AND id = $2 AND used_at IS NULL AND expires_at <= $3 RETURNING *"
);
const INSERT_PENDING: Sql = sql!(
    "pending_grants.insert",
    "INSERT INTO pending_grants (env_id, request_hash, link_id, account_id, identifier, sealed, attempts, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)"
);
const FIND_PENDING: Sql = sql!(
    "pending_grants.find_live",
    "SELECT * FROM pending_grants
     WHERE env_id = $1 AND request_hash = $2 AND consumed_at IS NULL AND expires_at > $3 AND attempts < $4"
);
const CONSUME_PENDING: Sql = sql!(
    "pending_grants.consume",
    "UPDATE pending_grants SET consumed_at = $3
     WHERE env_id = $1 AND request_hash = $2 AND consumed_at IS NULL AND expires_at > $3 AND attempts < $4"
);
const COUNT_PENDING_ATTEMPT: Sql = sql!(
    "pending_grants.count_attempt",
    "UPDATE pending_grants SET attempts = attempts + 1 WHERE env_id = $1 AND request_hash = $2 AND consumed_at IS NULL"
);
const DROP_DEAD_PENDING: Sql = sql!(
    "pending_grants.drop_dead",
    "DELETE FROM pending_grants
     WHERE env_id = $1 AND account_id = $2 AND (consumed_at IS NOT NULL OR expires_at <= $3 OR attempts >= $4)
     RETURNING *"
);
const CLEAR_PENDING_UNTIL: Sql = sql!(
    "connected_accounts.clear_pending_until",
    "UPDATE connected_accounts SET pending_until = NULL WHERE env_id = $1 AND id = $2"
);
const DROP_PENDING: Sql = sql!(
    "pending_grants.drop_of_account",
    "DELETE FROM pending_grants WHERE env_id = $1 AND account_id = $2 RETURNING *"
);
const PURGE_LINKS: AdminSql = admin_sql!(
    "auth_links.purge",
    "DELETE FROM auth_links WHERE (env_id, id) IN (
         SELECT env_id, id FROM auth_links WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)"
);
const PURGE_FLOWS: AdminSql = admin_sql!(
    "auth_flows.purge",
    "DELETE FROM auth_flows WHERE (env_id, id) IN (
         SELECT env_id, id FROM auth_flows WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)"
);
pub(crate) const ADMIN_STATEMENTS: &[AdminSql] = &[PURGE_LINKS, PURGE_FLOWS, ABANDONED_FLOWS];
pub(crate) const STATEMENTS: &[Sql] = &[
    INSERT_LINK,
    FIND_LINK,
    FIND_LINK_BY_ID,
    COMPLETE_LINKS,
    COMPLETE_LINK,
    COMPLETE_CONSENTED,
    INSERT_FLOW,
    FIND_FLOW,
    REDEEM_FLOW,
    OPEN_FLOWS,
    DROP_ABANDONED_FLOW,
    INSERT_PENDING,
    FIND_PENDING,
    CONSUME_PENDING,
    COUNT_PENDING_ATTEMPT,
    DROP_DEAD_PENDING,
    CLEAR_PENDING_UNTIL,
    DROP_PENDING,
];

impl FromRow for LinkRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            account_id: row.get("account_id")?,
            identifier: row.get("identifier")?,
            client_state: row.get("client_state")?,
            user_verify_url: row.get("user_verify_url")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            completed_at: row.get("completed_at")?,
        })
    }
}

impl FromRow for FlowRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            link_id: row.get("link_id")?,
            connection_id: row.get("connection_id")?,
            browser_hash: row.get("browser_hash")?,
            sealed: row.get("sealed")?,
            scopes: row.get("scopes")?,
        })
    }
}

impl FromRow for PendingGrantRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            link_id: row.get("link_id")?,
            account_id: row.get("account_id")?,
            identifier: row.get("identifier")?,
            sealed: row.get("sealed")?,
            attempts: row.get("attempts")?,
        })
    }
}

/// Adds a link under the hash of its token.
pub async fn insert_link(tx: &mut Tx, token_hash: &[u8], new: &LinkRow) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        new.id,
        token_hash,
        new.account_id,
        &new.identifier,
        &new.client_state,
        &new.user_verify_url,
        new.created_at,
        new.expires_at,
    );
    tx.execute(INSERT_LINK, params).await?;
    Ok(())
}

/// The unfinished, unexpired link of a token.
pub async fn find_link(
    db: &mut impl Query,
    token_hash: &[u8],
    now: Timestamp,
) -> Result<Option<LinkRow>, StoreError> {
    let params = (db.env(), token_hash, now);
    db.fetch_optional_as(FIND_LINK, params).await
}

/// The link of an id, in any state.
pub async fn find_link_by_id(
    db: &mut impl Query,
    id: AuthRequestId,
) -> Result<Option<LinkRow>, StoreError> {
    let params = (db.env(), id);
    db.fetch_optional_as(FIND_LINK_BY_ID, params).await
}

/// Finishes one live link; `false` when it was finished or expired already.
pub async fn complete_link(
    tx: &mut Tx,
    id: AuthRequestId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let params = (tx.env(), id, at);
    Ok(tx.execute(COMPLETE_LINK, params).await? == 1)
}

/// Finishes the link of a consent, which may have run out meanwhile; `false` when it was finished
/// already.
pub async fn complete_consented(
    tx: &mut Tx,
    id: AuthRequestId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let params = (tx.env(), id, at);
    Ok(tx.execute(COMPLETE_CONSENTED, params).await? == 1)
}

/// Voids every open link of an account.
pub async fn complete_links(
    tx: &mut Tx,
    account: ConnectedAccountId,
    at: Timestamp,
) -> Result<(), StoreError> {
    let params = (tx.env(), account, at);
    tx.execute(COMPLETE_LINKS, params).await?;
    Ok(())
}

/// Adds a trip to the provider.
pub async fn insert_flow(
    tx: &mut Tx,
    state_hash: &[u8],
    new: &FlowRow,
    at: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        new.id,
        new.link_id,
        new.connection_id,
        state_hash,
        &new.browser_hash,
        &new.sealed,
        &new.scopes,
        at,
        expires_at,
    );
    tx.execute(INSERT_FLOW, params).await?;
    Ok(())
}

/// The trip of a state that this browser may still finish; looking at it does not use it up.
pub async fn find_flow(
    db: &mut impl Query,
    state_hash: &[u8],
    browser_hash: &[u8],
    now: Timestamp,
) -> Result<Option<FlowRow>, StoreError> {
    let params = (db.env(), state_hash, browser_hash, now);
    db.fetch_optional_as(FIND_FLOW, params).await
}

/// Takes the trip of a state, once, in the browser and for the connection it was made for.
pub async fn redeem_flow(
    tx: &mut Tx,
    state_hash: &[u8],
    connection: ConnectionId,
    browser_hash: &[u8],
    now: Timestamp,
) -> Result<Option<FlowRow>, StoreError> {
    let params = (tx.env(), state_hash, connection, browser_hash, now);
    tx.fetch_optional_as(REDEEM_FLOW, params).await
}

/// The trips of an account that were not finished.
pub async fn open_flows(
    db: &mut impl Query,
    account: ConnectedAccountId,
) -> Result<Vec<FlowRow>, StoreError> {
    let params = (db.env(), account);
    db.fetch_all_as(OPEN_FLOWS, params).await
}

/// A trip that nobody finished in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AbandonedFlow {
    /// Environment.
    pub environment: EnvironmentId,
    /// Trip.
    pub id: AuthRequestId,
}

impl FromRow for AbandonedFlow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            environment: row.get("env_id")?,
            id: row.get("id")?,
        })
    }
}

/// At most `limit` trips of all environments that were not finished in time, oldest first.
pub async fn abandoned_flows(
    db: &mut impl Fetch<Statement = AdminSql>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<AbandonedFlow>, StoreError> {
    db.fetch_all_as(ABANDONED_FLOWS, (now, limit)).await
}

/// Removes a trip that nobody finished in time; gives it to the first who does.
pub async fn drop_abandoned_flow(
    tx: &mut Tx,
    id: AuthRequestId,
    now: Timestamp,
) -> Result<Option<FlowRow>, StoreError> {
    let params = (tx.env(), id, now);
    tx.fetch_optional_as(DROP_ABANDONED_FLOW, params).await
}

/// Adds a grant that waits for verification.
pub async fn insert_pending(
    tx: &mut Tx,
    request_hash: &[u8],
    new: &PendingGrantRow,
    at: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        request_hash,
        new.link_id,
        new.account_id,
        &new.identifier,
        &new.sealed,
        at,
        expires_at,
    );
    tx.execute(INSERT_PENDING, params).await?;
    Ok(())
}

/// The waiting grant of a request with fewer than `max_attempts` wrong tries.
pub async fn find_pending(
    db: &mut impl Query,
    request_hash: &[u8],
    now: Timestamp,
    max_attempts: i64,
) -> Result<Option<PendingGrantRow>, StoreError> {
    let params = (db.env(), request_hash, now, max_attempts);
    db.fetch_optional_as(FIND_PENDING, params).await
}

/// Takes a waiting grant; `false` when somebody else did, or it was discarded meanwhile.
pub async fn consume_pending(
    tx: &mut Tx,
    request_hash: &[u8],
    now: Timestamp,
    max_attempts: i64,
) -> Result<bool, StoreError> {
    let params = (tx.env(), request_hash, now, max_attempts);
    Ok(tx.execute(CONSUME_PENDING, params).await? == 1)
}

/// Counts a wrong try.
pub async fn count_pending_attempt(tx: &mut Tx, request_hash: &[u8]) -> Result<(), StoreError> {
    let params = (tx.env(), request_hash);
    tx.execute(COUNT_PENDING_ATTEMPT, params).await?;
    Ok(())
}

/// Discards the grants of an account that nobody can verify any more; gives them.
pub async fn drop_dead_pending(
    tx: &mut Tx,
    account: ConnectedAccountId,
    now: Timestamp,
    max_attempts: i64,
) -> Result<Vec<PendingGrantRow>, StoreError> {
    let params = (tx.env(), account, now, max_attempts);
    tx.fetch_all_as(DROP_DEAD_PENDING, params).await
}

/// Discards all waiting grants of an account, which is then in the state it had without them; gives
/// them.
pub async fn drop_pending(
    tx: &mut Tx,
    account: ConnectedAccountId,
) -> Result<Vec<PendingGrantRow>, StoreError> {
    let params = (tx.env(), account);
    tx.execute(CLEAR_PENDING_UNTIL, params).await?;
    tx.fetch_all_as(DROP_PENDING, params).await
}

/// Removes at most `limit` links of all environments that expired before `before`, and the trips
/// they started; gives how many links.
pub async fn purge_links(
    tx: &mut admin::Tx,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    tx.execute(PURGE_LINKS, (before, limit)).await
}

/// Removes at most `limit` trips of all environments that expired before `before`; gives how many.
pub async fn purge_flows(
    tx: &mut admin::Tx,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    tx.execute(PURGE_FLOWS, (before, limit)).await
}
