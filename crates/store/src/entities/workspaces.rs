//! Workspaces: the accounts that own environments.

use super::Region;
use crate::{Execute, Fetch, FromRow, Row, Sql, StoreError, sql};
use keystead_types::{Timestamp, WorkspaceId};

/// A workspace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Name shown to people.
    pub display_name: String,
    /// Region, fixed at creation.
    pub region: Region,
    /// State of the dashboard's pages, as a JSON object.
    pub context: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const INSERT: Sql = sql!(
    "workspaces.insert",
    "INSERT INTO workspaces (id, display_name, region_code, context, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6)"
);
const BY_ID: Sql = sql!("workspaces.by_id", "SELECT * FROM workspaces WHERE id = $1");
/// Changes nothing, but holds the row until the transaction ends.
const LOCK: Sql = sql!(
    "workspaces.lock",
    "UPDATE workspaces SET updated_at = updated_at WHERE id = $1 RETURNING *"
);
const UPDATE: Sql = sql!(
    "workspaces.update",
    "UPDATE workspaces SET display_name = $2, context = $3, updated_at = $4 WHERE id = $1"
);

pub(crate) const STATEMENTS: &[Sql] = &[INSERT, BY_ID, LOCK, UPDATE];

/// Adds a workspace.
pub async fn insert(tx: &mut impl Execute, new: &Workspace) -> Result<(), StoreError> {
    let params = (
        new.id,
        &new.display_name,
        new.region.as_str(),
        &new.context,
        new.created_at,
        new.updated_at,
    );
    tx.execute(INSERT, params).await?;
    Ok(())
}

/// Finds a workspace.
pub async fn find(db: &mut impl Fetch, id: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
    db.fetch_optional_as(BY_ID, (id,)).await
}

/// Finds a workspace, which nobody else changes until the transaction ends.
pub async fn lock(tx: &mut impl Execute, id: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
    tx.fetch_optional_as(LOCK, (id,)).await
}

/// Stores name and context.
pub async fn update(tx: &mut impl Execute, workspace: &Workspace) -> Result<(), StoreError> {
    let params = (
        workspace.id,
        &workspace.display_name,
        &workspace.context,
        workspace.updated_at,
    );
    tx.execute(UPDATE, params).await?;
    Ok(())
}

impl FromRow for Workspace {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            display_name: row.get("display_name")?,
            region: row.get("region_code")?,
            context: row.get("context")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}
