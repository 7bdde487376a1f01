//! `WorkspaceService`: the caller's own workspace. Sign-up, billing and domains are not built yet.

use crate::{
    App,
    convert::{structs, workspaces as convert},
    request::{Reply, open, required},
    status::{Plain, failed, internal},
};
use keystead_authz::Caller;
use keystead_identity::workspaces::{self as domain, Error, Workspace};
use keystead_proto::v1::workspaces::{self as pb, workspace_service_server::WorkspaceService};
use keystead_types::{ErrorCode, WorkspaceId};
use tonic::{Request, Response, Status, async_trait};

/// Largest stored state of the dashboard's pages, as JSON.
const MAX_CONTEXT_BYTES: usize = 64 * 1024;

pub(crate) struct Workspaces(pub(crate) App);

/// The caller's workspace, when `id` names it: others do not exist for the caller.
fn own(caller: &Caller, id: &str) -> Result<WorkspaceId, Status> {
    let id: Option<WorkspaceId> = id.parse().ok();
    id.filter(|id| *id == caller.workspace())
        .ok_or_else(|| failed(Error::NotFound))
}

impl Workspaces {
    fn shown(&self, workspace: &Workspace) -> pb::Workspace {
        convert::workspace(workspace, self.0.ctx.installation.base_url.host())
    }

    async fn get(&self, id: WorkspaceId) -> Reply<pb::GetWorkspaceResponse> {
        let workspace = domain::get(&self.0.ctx, id).await.map_err(failed)?;
        Ok(Response::new(pb::GetWorkspaceResponse {
            workspace: Some(self.shown(&workspace)),
            context: Some(convert::context(&workspace).map_err(internal)?),
        }))
    }

    async fn rename(
        &self,
        id: WorkspaceId,
        change: Option<pb::UpdateWorkspace>,
    ) -> Reply<pb::UpdateWorkspaceResponse> {
        let name = required(change, "workspace")?.display_name;
        let workspace = domain::rename(&self.0.ctx, id, name)
            .await
            .map_err(failed)?;
        Ok(Response::new(pb::UpdateWorkspaceResponse {
            workspace: Some(self.shown(&workspace)),
        }))
    }
}

#[async_trait]
impl WorkspaceService for Workspaces {
    async fn get_workspace(
        &self,
        request: Request<pb::GetWorkspaceRequest>,
    ) -> Reply<pb::GetWorkspaceResponse> {
        let (caller, message) = open(request)?;
        self.get(own(&caller, &message.id)?).await
    }

    async fn get_current_workspace(
        &self,
        request: Request<pb::GetCurrentWorkspaceRequest>,
    ) -> Reply<pb::GetWorkspaceResponse> {
        let (caller, _) = open(request)?;
        self.get(caller.workspace()).await
    }

    async fn update_workspace(
        &self,
        request: Request<pb::UpdateWorkspaceRequest>,
    ) -> Reply<pb::UpdateWorkspaceResponse> {
        let (caller, message) = open(request)?;
        self.rename(own(&caller, &message.id)?, message.workspace)
            .await
    }

    async fn update_current_workspace(
        &self,
        request: Request<pb::UpdateCurrentWorkspaceRequest>,
    ) -> Reply<pb::UpdateWorkspaceResponse> {
        let (caller, message) = open(request)?;
        self.rename(caller.workspace(), message.workspace).await
    }

    async fn update_workspace_context(
        &self,
        request: Request<pb::UpdateWorkspaceContextRequest>,
    ) -> Reply<pb::UpdateWorkspaceContextResponse> {
        let (caller, message) = open(request)?;
        let context = structs::to_json(required(message.context, "context")?);
        let text = serde_json::Value::Object(context).to_string();
        if text.len() > MAX_CONTEXT_BYTES {
            return Err(failed(Plain::new(
                ErrorCode::InvalidArgument,
                "context must be at most 64 KiB of JSON",
            )));
        }
        let stored = domain::set_context(&self.0.ctx, caller.workspace(), text)
            .await
            .map_err(failed)?;
        let context = Some(convert::context(&stored).map_err(internal)?);
        Ok(Response::new(pb::UpdateWorkspaceContextResponse {
            context,
        }))
    }
}
