//! Sessions of dashboard members and of visitors of the account-connection pages.

use crate::{
    AdminSql, Execute, Fetch, FromRow, Query, Row, Sql, StoreError, Tx, admin, admin_sql, sql,
};
use keystead_types::{AuthRequestId, ConnectedAccountId, MemberId, SessionId, Timestamp};

/// A signed-in browser.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemberSession {
    /// Its id.
    pub id: SessionId,
    /// Who is signed in.
    pub member: MemberId,
    /// When the member signed in.
    pub created_at: Timestamp,
    /// When it was last used; some minutes late.
    pub last_seen_at: Timestamp,
    /// From when on it is dead, however busy it is.
    pub expires_at: Timestamp,
}

/// A visitor of the account-connection pages: may touch one connected account and nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortalSession {
    /// Its id.
    pub id: SessionId,
    /// The account.
    pub account: ConnectedAccountId,
    /// The link that was opened.
    pub link: Option<AuthRequestId>,
    /// From when on it is dead.
    pub expires_at: Timestamp,
}

const INSERT_MEMBER: Sql = sql!(
    "sessions.insert_member",
    "INSERT INTO member_sessions (token_hash, id, member_id, created_at, last_seen_at, expires_at)
     VALUES ($1, $2, $3, $4, $4, $5)"
);
const MEMBER_BY_TOKEN: Sql = sql!(
    "sessions.member_by_token",
    "SELECT id, member_id, created_at, last_seen_at, expires_at FROM member_sessions
     WHERE token_hash = $1 AND expires_at > $2 AND last_seen_at > $3"
);
const MEMBER_SEEN: Sql = sql!(
    "sessions.member_seen",
    "UPDATE member_sessions SET last_seen_at = $2 WHERE token_hash = $1 AND last_seen_at < $2"
);
const END_MEMBER: Sql = sql!(
    "sessions.end_member",
    "DELETE FROM member_sessions WHERE token_hash = $1
     RETURNING id, member_id, created_at, last_seen_at, expires_at"
);
const END_ALL_OF_MEMBER: Sql = sql!(
    "sessions.end_all_of_member",
    "DELETE FROM member_sessions WHERE member_id = $1"
);
const PURGE_MEMBERS: Sql = sql!(
    "sessions.purge_members",
    "DELETE FROM member_sessions WHERE token_hash IN (
         SELECT token_hash FROM member_sessions WHERE expires_at <= $1 OR last_seen_at <= $2 LIMIT $3)"
);
const INSERT_PORTAL: Sql = sql!(
    "sessions.insert_portal",
    "INSERT INTO portal_sessions (env_id, token_hash, id, connected_account_id, link_id, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7)"
);
const PORTAL_BY_TOKEN: Sql = sql!(
    "sessions.portal_by_token",
    "SELECT id, connected_account_id, link_id, expires_at FROM portal_sessions
     WHERE env_id = $1 AND token_hash = $2 AND expires_at > $3"
);
const END_PORTAL: Sql = sql!(
    "sessions.end_portal",
    "DELETE FROM portal_sessions WHERE env_id = $1 AND connected_account_id = $2"
);
const PURGE_PORTAL: AdminSql = admin_sql!(
    "sessions.purge_portal",
    "DELETE FROM portal_sessions WHERE (env_id, token_hash) IN (
         SELECT env_id, token_hash FROM portal_sessions WHERE expires_at <= $1 LIMIT $2)"
);

pub(crate) const STATEMENTS: &[Sql] = &[
    INSERT_MEMBER,
    MEMBER_BY_TOKEN,
    MEMBER_SEEN,
    END_MEMBER,
    END_ALL_OF_MEMBER,
    PURGE_MEMBERS,
    INSERT_PORTAL,
    PORTAL_BY_TOKEN,
    END_PORTAL,
];
pub(crate) const ADMIN_STATEMENTS: &[AdminSql] = &[PURGE_PORTAL];

/// Adds the session of a member, found by the hash of its token.
pub async fn insert_member_session(
    tx: &mut impl Execute,
    token_hash: &[u8; 32],
    session: &MemberSession,
) -> Result<(), StoreError> {
    let params = (
        token_hash,
        session.id,
        session.member,
        session.created_at,
        session.expires_at,
    );
    tx.execute(INSERT_MEMBER, params).await?;
    Ok(())
}

/// Finds a live session: not past its end at `now` and used since `idle_since`.
pub async fn find_member_session(
    db: &mut impl Fetch,
    token_hash: &[u8; 32],
    now: Timestamp,
    idle_since: Timestamp,
) -> Result<Option<MemberSession>, StoreError> {
    db.fetch_optional_as(MEMBER_BY_TOKEN, (token_hash, now, idle_since))
        .await
}

/// Notes that a session was used.
pub async fn member_session_seen(
    tx: &mut impl Execute,
    token_hash: &[u8; 32],
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(MEMBER_SEEN, (token_hash, at)).await?;
    Ok(())
}

/// Ends one session and gives it; `None` when there is none.
pub async fn end_member_session(
    tx: &mut impl Execute,
    token_hash: &[u8; 32],
) -> Result<Option<MemberSession>, StoreError> {
    tx.fetch_optional_as(END_MEMBER, (token_hash,)).await
}

/// Ends every session of a member.
pub async fn end_member_sessions(
    tx: &mut impl Execute,
    member: MemberId,
) -> Result<(), StoreError> {
    tx.execute(END_ALL_OF_MEMBER, (member,)).await?;
    Ok(())
}

/// Adds a portal session.
pub async fn insert_portal_session(
    tx: &mut Tx,
    token_hash: &[u8; 32],
    session: &PortalSession,
    at: Timestamp,
) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        token_hash,
        session.id,
        session.account,
        session.link,
        at,
        session.expires_at,
    );
    tx.execute(INSERT_PORTAL, params).await?;
    Ok(())
}

/// Finds a live portal session.
pub async fn find_portal_session(
    db: &mut impl Query,
    token_hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<PortalSession>, StoreError> {
    let env = db.env();
    db.fetch_optional_as(PORTAL_BY_TOKEN, (env, token_hash, now))
        .await
}

/// Ends every portal session of an account.
pub async fn end_portal_sessions(
    tx: &mut Tx,
    account: ConnectedAccountId,
) -> Result<(), StoreError> {
    let env = tx.env();
    tx.execute(END_PORTAL, (env, account)).await?;
    Ok(())
}

/// Removes at most `limit` sessions of members that are past their end at `now`, or not used since
/// `idle_since`; gives how many.
pub async fn purge_members(
    tx: &mut admin::Tx,
    now: Timestamp,
    idle_since: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    tx.execute(PURGE_MEMBERS, (now, idle_since, limit)).await
}

/// Removes at most `limit` portal sessions of all environments that are past their end at `now`;
/// gives how many.
pub async fn purge_portal(
    tx: &mut admin::Tx,
    now: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    tx.execute(PURGE_PORTAL, (now, limit)).await
}

impl FromRow for MemberSession {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            member: row.get("member_id")?,
            created_at: row.get("created_at")?,
            last_seen_at: row.get("last_seen_at")?,
            expires_at: row.get("expires_at")?,
        })
    }
}

impl FromRow for PortalSession {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            account: row.get("connected_account_id")?,
            link: row.get("link_id")?,
            expires_at: row.get("expires_at")?,
        })
    }
}
