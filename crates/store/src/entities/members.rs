//! People who use the dashboard. The table belongs to the system, not to an environment.

use super::{text_enum::text_enum, workspace_list::WorkspaceList, workspaces};
use crate::{Execute, Fetch, FromRow, Row, Sql, StoreError, Window, sql};
use keystead_types::{MemberId, Timestamp, WorkspaceId};
use std::marker::PhantomData;

text_enum! {
    /// What a member may do (DB-042).
    Role {
        /// Everything.
        Admin = "admin",
        /// Everything in environments.
        Developer = "developer",
        /// Reads.
        Member = "member",
        /// Nothing.
        NoAccess = "no_access",
    }
}

/// A dashboard member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Address as it was given.
    pub email: String,
    /// The address in the form that is compared.
    pub email_key: String,
    /// Given name, maybe empty.
    pub first_name: String,
    /// Family name, maybe empty.
    pub last_name: String,
    /// What the member may do.
    pub role: Role,
    /// Key and value pairs, as a JSON object.
    pub metadata: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When the member last signed in.
    pub last_login_at: Option<Timestamp>,
}

/// Name of the unique index on addresses.
pub const UNIQUE_EMAIL: &str = "members_workspace_email";

const INSERT: Sql = sql!(
    "members.insert",
    "INSERT INTO members (id, workspace_id, email, email_key, first_name, last_name, role, metadata,
         created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
);
const UPDATE: Sql = sql!(
    "members.update",
    "UPDATE members SET first_name = $2, last_name = $3, metadata = $4, updated_at = $5 WHERE id = $1"
);
const BY_ID: Sql = sql!("members.by_id", "SELECT * FROM members WHERE id = $1");
// An address may belong to several workspaces: signing in opens the one that was used last.
const BY_EMAIL: Sql = sql!(
    "members.by_email",
    "SELECT * FROM members WHERE email_key = $1
     ORDER BY coalesce(last_login_at, 0) DESC, created_at LIMIT 1"
);
const NEXT: Sql = sql!(
    "members.next",
    "SELECT * FROM members WHERE workspace_id = $1 AND (created_at, id) > ($2, $3)
     ORDER BY created_at, id LIMIT $4"
);
const PREVIOUS: Sql = sql!(
    "members.previous",
    "SELECT * FROM members WHERE workspace_id = $1 AND (created_at, id) < ($2, $3)
     ORDER BY created_at DESC, id DESC LIMIT $4"
);
// A workspace has a team's worth of members: counting them is cheap.
const COUNT: Sql = sql!(
    "members.count",
    "SELECT count(*) AS total FROM members WHERE workspace_id = $1"
);
const SIGNED_IN: Sql = sql!(
    "members.signed_in",
    "UPDATE members SET last_login_at = $2 WHERE id = $1"
);

/// Changes nothing, but holds the row until the transaction ends.
const LOCK: Sql = sql!(
    "members.lock",
    "UPDATE members SET updated_at = updated_at WHERE id = $1 RETURNING *"
);
const DELETE: Sql = sql!(
    "members.delete",
    "DELETE FROM members WHERE id = $1 AND (role <> $2 OR EXISTS (
         SELECT 1 FROM members AS other
         WHERE other.workspace_id = members.workspace_id AND other.role = $2 AND other.id <> members.id))
     RETURNING id"
);

const LIST: WorkspaceList<MemberId> = WorkspaceList {
    next: NEXT,
    previous: PREVIOUS,
    count: COUNT,
    id: PhantomData,
};

pub(crate) const STATEMENTS: &[Sql] = &[
    INSERT, UPDATE, BY_ID, BY_EMAIL, NEXT, PREVIOUS, COUNT, SIGNED_IN, LOCK, DELETE,
];

/// Adds a member.
///
/// # Errors
/// A unique violation of [`UNIQUE_EMAIL`].
pub async fn insert(tx: &mut impl Execute, new: &Member) -> Result<(), StoreError> {
    let params = (
        new.id,
        new.workspace,
        &new.email,
        &new.email_key,
        &new.first_name,
        &new.last_name,
        new.role.as_str(),
        &new.metadata,
        new.created_at,
        new.updated_at,
    );
    tx.execute(INSERT, params).await?;
    Ok(())
}

/// Stores names and metadata.
pub async fn update(tx: &mut impl Execute, member: &Member) -> Result<(), StoreError> {
    let params = (
        member.id,
        &member.first_name,
        &member.last_name,
        &member.metadata,
        member.updated_at,
    );
    tx.execute(UPDATE, params).await?;
    Ok(())
}

/// Deletes a member of the workspace with all sessions; `false` for the last administrator, and when
/// there is no such member.
pub async fn delete(
    tx: &mut impl Execute,
    workspace: WorkspaceId,
    id: MemberId,
) -> Result<bool, StoreError> {
    // Two removals look one after the other.
    workspaces::lock(tx, workspace).await?;
    let deleted = tx
        .fetch_optional(DELETE, (id, Role::Admin.as_str()))
        .await?;
    Ok(deleted.is_some())
}

/// Finds a member.
pub async fn find(db: &mut impl Fetch, id: MemberId) -> Result<Option<Member>, StoreError> {
    db.fetch_optional_as(BY_ID, (id,)).await
}

/// Finds a member, whom nobody else changes until the transaction ends.
pub async fn lock(tx: &mut impl Execute, id: MemberId) -> Result<Option<Member>, StoreError> {
    tx.fetch_optional_as(LOCK, (id,)).await
}

/// Finds who signs in with an address.
pub async fn find_by_email(
    db: &mut impl Fetch,
    email_key: &str,
) -> Result<Option<Member>, StoreError> {
    db.fetch_optional_as(BY_EMAIL, (email_key,)).await
}

/// One page of a workspace, oldest first; one row more when there is another.
pub async fn list(
    db: &mut impl Fetch,
    workspace: WorkspaceId,
    window: &Window<'_>,
) -> Result<Vec<Member>, StoreError> {
    LIST.rows(db, workspace, window).await
}

/// How many members a workspace has.
pub async fn count(db: &mut impl Fetch, workspace: WorkspaceId) -> Result<u64, StoreError> {
    LIST.total(db, workspace).await
}

/// Notes a sign-in.
pub async fn signed_in(
    tx: &mut impl Execute,
    id: MemberId,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(SIGNED_IN, (id, at)).await?;
    Ok(())
}

impl FromRow for Member {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            workspace: row.get("workspace_id")?,
            email: row.get("email")?,
            email_key: row.get("email_key")?,
            first_name: row.get("first_name")?,
            last_name: row.get("last_name")?,
            role: row.get("role")?,
            metadata: row.get("metadata")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            last_login_at: row.get("last_login_at")?,
        })
    }
}
