//! Workspaces: the accounts that own environments.

use crate::Context;
pub use keystead_store::entities::workspaces::Workspace;
use keystead_store::{StoreError, entities::workspaces as rows};
use keystead_types::{ErrorCode, Internal, Reason, WorkspaceId};

/// Why a request about workspaces failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such workspace, or another one than the caller's.
    #[error("workspace not found")]
    NotFound,
    /// Something broke on our side.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl Reason for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::NotFound,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }
}

impl From<StoreError> for Error {
    #[track_caller]
    fn from(error: StoreError) -> Self {
        Self::Internal(Internal::new(error))
    }
}

/// Gets a workspace (DB-005).
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(ctx: &Context, id: WorkspaceId) -> Result<Workspace, Error> {
    rows::find(&mut ctx.db.read_admin(), id)
        .await?
        .ok_or(Error::NotFound)
}

/// Renames a workspace (DB-005).
///
/// # Errors
/// [`Error::NotFound`].
pub async fn rename(
    ctx: &Context,
    id: WorkspaceId,
    display_name: String,
) -> Result<Workspace, Error> {
    change(ctx, id, |workspace| workspace.display_name = display_name).await
}

/// Stores the state of the dashboard's pages: a JSON object (DB-005).
///
/// # Errors
/// [`Error::NotFound`].
pub async fn set_context(
    ctx: &Context,
    id: WorkspaceId,
    context: String,
) -> Result<Workspace, Error> {
    change(ctx, id, |workspace| workspace.context = context).await
}

async fn change(
    ctx: &Context,
    id: WorkspaceId,
    apply: impl FnOnce(&mut Workspace),
) -> Result<Workspace, Error> {
    let mut tx = ctx.db.begin_admin().await?;
    let mut workspace = rows::lock(&mut tx, id).await?.ok_or(Error::NotFound)?;
    apply(&mut workspace);
    workspace.updated_at = ctx.clock.now();
    rows::update(&mut tx, &workspace).await?;
    tx.commit().await?;
    Ok(workspace)
}
