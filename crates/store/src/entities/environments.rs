//! Environments: the tenants. This table itself belongs to the system.

use super::{Region, text_enum::text_enum, workspace_list::WorkspaceList};
use crate::{Execute, Fetch, FromRow, Row, Sql, StoreError, Window, admin, sql};
use keystead_types::{EnvironmentId, Timestamp, WorkspaceId};
use std::marker::PhantomData;

text_enum! {
    /// How strict an environment is (DB-024).
    EnvironmentKind {
        /// Real customers.
        Production = "PRD",
        /// Development and staging.
        Development = "DEV",
    }
}

text_enum! {
    /// Which parts of signing in the environment does itself (DB-027).
    AuthenticationMode {
        /// Single modules beside the application's own login.
        Modular = "MODULAR_AUTH",
        /// Everything.
        FullStack = "FULL_STACK_AUTH",
    }
}

/// An environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// The workspace that owns it.
    pub workspace: WorkspaceId,
    /// Name shown to people.
    pub display_name: String,
    /// Host it is served at, in lower case; unique in the installation.
    pub domain: String,
    /// How strict it is.
    pub kind: EnvironmentKind,
    /// Region, fixed at creation.
    pub region: Region,
    /// Which parts of signing in it does itself.
    pub authentication_mode: AuthenticationMode,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Name of the unique index on domains.
pub const UNIQUE_DOMAIN: &str = "environments_domain";

const INSERT: Sql = sql!(
    "environments.insert",
    "INSERT INTO environments (id, workspace_id, display_name, domain, kind, region_code,
         authentication_mode, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
);
const UPDATE: Sql = sql!(
    "environments.update",
    "UPDATE environments SET display_name = $2, domain = $3, updated_at = $4
     WHERE id = $1 AND deleted_at IS NULL"
);
// The domain is freed: it is prefixed with the id, which no host name can hold.
const DELETE: Sql = sql!(
    "environments.delete",
    "UPDATE environments SET deleted_at = $2, updated_at = $2, domain = id || '/' || domain
     WHERE id = $1 AND deleted_at IS NULL RETURNING id"
);
const BY_ID: Sql = sql!(
    "environments.by_id",
    "SELECT * FROM environments WHERE id = $1 AND deleted_at IS NULL"
);
/// Changes nothing, but holds the row until the transaction ends.
const LOCK: Sql = sql!(
    "environments.lock",
    "UPDATE environments SET updated_at = updated_at WHERE id = $1 AND deleted_at IS NULL RETURNING *"
);
const BY_DOMAIN: Sql = sql!(
    "environments.by_domain",
    "SELECT * FROM environments WHERE domain = $1 AND deleted_at IS NULL"
);
const OF_WORKSPACE: Sql = sql!(
    "environments.of_workspace",
    "SELECT id FROM environments WHERE workspace_id = $1 AND deleted_at IS NULL ORDER BY id"
);
const NEXT: Sql = sql!(
    "environments.next",
    "SELECT * FROM environments
     WHERE workspace_id = $1 AND deleted_at IS NULL AND (created_at, id) > ($2, $3)
     ORDER BY created_at, id LIMIT $4"
);
const PREVIOUS: Sql = sql!(
    "environments.previous",
    "SELECT * FROM environments
     WHERE workspace_id = $1 AND deleted_at IS NULL AND (created_at, id) < ($2, $3)
     ORDER BY created_at DESC, id DESC LIMIT $4"
);
// A workspace has a handful of environments: counting them is cheap.
const COUNT: Sql = sql!(
    "environments.count",
    "SELECT count(*) AS total FROM environments WHERE workspace_id = $1 AND deleted_at IS NULL"
);

const AFTER: Sql = sql!(
    "environments.after",
    "SELECT id FROM environments WHERE id > $1 ORDER BY id LIMIT $2"
);

const LIST: WorkspaceList<EnvironmentId> = WorkspaceList {
    next: NEXT,
    previous: PREVIOUS,
    count: COUNT,
    id: PhantomData,
};

pub(crate) const STATEMENTS: &[Sql] = &[
    INSERT,
    UPDATE,
    DELETE,
    BY_ID,
    LOCK,
    BY_DOMAIN,
    OF_WORKSPACE,
    NEXT,
    PREVIOUS,
    COUNT,
    AFTER,
];

/// Adds an environment.
///
/// # Errors
/// A unique violation of [`UNIQUE_DOMAIN`].
pub async fn insert(tx: &mut impl Execute, new: &Environment) -> Result<(), StoreError> {
    let params = (
        new.id,
        new.workspace,
        &new.display_name,
        &new.domain,
        new.kind.as_str(),
        new.region.as_str(),
        new.authentication_mode.as_str(),
        new.created_at,
        new.updated_at,
    );
    tx.execute(INSERT, params).await?;
    Ok(())
}

/// Stores name and domain.
///
/// # Errors
/// As [`insert`].
pub async fn update(tx: &mut impl Execute, environment: &Environment) -> Result<(), StoreError> {
    let params = (
        environment.id,
        &environment.display_name,
        &environment.domain,
        environment.updated_at,
    );
    tx.execute(UPDATE, params).await?;
    Ok(())
}

/// Marks an environment as deleted: from now on nobody finds it. `false` when it was already.
pub async fn delete(
    tx: &mut impl Execute,
    id: EnvironmentId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    Ok(tx.fetch_optional(DELETE, (id, at)).await?.is_some())
}

/// Finds an environment.
pub async fn find(
    db: &mut impl Fetch,
    id: EnvironmentId,
) -> Result<Option<Environment>, StoreError> {
    db.fetch_optional_as(BY_ID, (id,)).await
}

/// Finds an environment, which nobody else changes until the transaction ends.
pub async fn lock(
    tx: &mut impl Execute,
    id: EnvironmentId,
) -> Result<Option<Environment>, StoreError> {
    tx.fetch_optional_as(LOCK, (id,)).await
}

/// Finds the environment that is served at a host.
pub async fn find_by_domain(
    db: &mut impl Fetch,
    domain: &str,
) -> Result<Option<Environment>, StoreError> {
    db.fetch_optional_as(BY_DOMAIN, (domain,)).await
}

/// One page of a workspace, oldest first; one row more when there is another.
pub async fn list(
    db: &mut impl Fetch,
    workspace: WorkspaceId,
    window: &Window<'_>,
) -> Result<Vec<Environment>, StoreError> {
    LIST.rows(db, workspace, window).await
}

/// Ids of all environments of a workspace.
pub async fn of_workspace(
    db: &mut impl Fetch,
    workspace: WorkspaceId,
) -> Result<Vec<EnvironmentId>, StoreError> {
    let rows = db.fetch_all(OF_WORKSPACE, (workspace,)).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// How many environments a workspace has.
pub async fn count(db: &mut impl Fetch, workspace: WorkspaceId) -> Result<u64, StoreError> {
    LIST.total(db, workspace).await
}

impl FromRow for Environment {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            workspace: row.get("workspace_id")?,
            display_name: row.get("display_name")?,
            domain: row.get("domain")?,
            kind: row.get("kind")?,
            region: row.get("region_code")?,
            authentication_mode: row.get("authentication_mode")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

/// Ids after `after` in the order of their text, deleted environments included. Start with the
/// empty text.
pub async fn after(
    read: &mut admin::Read<'_>,
    after: &str,
    limit: u32,
) -> Result<Vec<EnvironmentId>, StoreError> {
    let rows = read.fetch_all(AFTER, (after, limit)).await?;
    rows.iter().map(|row| row.get("id")).collect()
}
