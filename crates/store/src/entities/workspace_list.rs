//! Lists of what belongs to a workspace: by creation, oldest first.

use crate::{Fetch, FromRow, Sql, StoreError, Window};
use keystead_types::{Id, WorkspaceId};
use std::marker::PhantomData;

/// The statements of a list. `next` and `previous` take workspace, creation, id and limit; `count`
/// takes the workspace. A workspace has a team's worth of rows: counting them is cheap.
pub(super) struct WorkspaceList<I> {
    pub(super) next: Sql,
    pub(super) previous: Sql,
    pub(super) count: Sql,
    pub(super) id: PhantomData<I>,
}

impl<I: Id> WorkspaceList<I> {
    /// The rows of a page; one more when there is another.
    pub(super) async fn rows<T: FromRow + Send>(
        &self,
        db: &mut impl Fetch,
        workspace: WorkspaceId,
        window: &Window<'_>,
    ) -> Result<Vec<T>, StoreError> {
        let from = (workspace, window.key(-1), window.id::<I>(), window.limit());
        db.fetch_all_as(window.choose(self.next, self.previous), from)
            .await
    }

    /// How many rows there are.
    pub(super) async fn total(
        &self,
        db: &mut impl Fetch,
        workspace: WorkspaceId,
    ) -> Result<u64, StoreError> {
        let total: Option<super::Total> = db.fetch_optional_as(self.count, (workspace,)).await?;
        Ok(total.map_or(0, |total| total.0))
    }
}
