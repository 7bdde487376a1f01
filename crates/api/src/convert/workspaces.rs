use super::{region_code, structs, time};
use keystead_identity::workspaces::Workspace;
use keystead_proto::v1::workspaces as pb;
use keystead_types::Internal;
use prost_types::Struct;

/// A workspace on the wire. There is no billing, so nothing is ever overdue.
pub(crate) fn workspace(workspace: &Workspace, auth_domain: &str) -> pb::Workspace {
    pb::Workspace {
        id: workspace.id.to_string(),
        create_time: time(workspace.created_at),
        update_time: time(workspace.updated_at),
        display_name: workspace.display_name.clone(),
        region_code: region_code(workspace.region),
        extended_info: Some(pb::WorkspaceExtendedInfo::default()),
        auth_domain: auth_domain.to_owned(),
        ..pb::Workspace::default()
    }
}

/// The state of the dashboard's pages.
pub(crate) fn context(workspace: &Workspace) -> Result<Struct, Internal> {
    serde_json::from_str(&workspace.context)
        .map(structs::from_json)
        .map_err(Internal::new)
}
