use super::time;
use keystead_identity::members::{Member, Role};
use keystead_proto::v1::members as pb;
use keystead_types::Internal;

/// A member on the wire.
pub(crate) fn member(member: &Member) -> Result<pb::Member, Internal> {
    let text = |value: &String| (!value.is_empty()).then(|| value.clone());
    Ok(pb::Member {
        id: member.id.to_string(),
        create_time: time(member.created_at),
        update_time: time(member.updated_at),
        workspace_id: member.workspace.to_string(),
        role: match member.role {
            Role::Admin => pb::MemberRole::Admin,
            _ => pb::MemberRole::User,
        } as i32,
        first_name: text(&member.first_name),
        last_name: text(&member.last_name),
        email: member.email.clone(),
        metadata: serde_json::from_str(&member.metadata).map_err(Internal::new)?,
        workspace_ids: vec![member.workspace.to_string()],
        dashboard_role: Some(role(member.role)),
        ..pb::Member::default()
    })
}

/// A fixed dashboard role (DB-042). Its permissions are listed by their own method.
fn role(role: Role) -> pb::DashboardRole {
    let (id, display_name) = match role {
        Role::Admin => ("skr_1", "Admin"),
        Role::Developer => ("skr_2", "Developer"),
        Role::Member => ("skr_3", "Member"),
        Role::NoAccess => ("skr_4", "No access"),
    };
    pb::DashboardRole {
        id: id.to_owned(),
        name: role.as_str().to_owned(),
        display_name: display_name.to_owned(),
        is_fixed: true,
        ..pb::DashboardRole::default()
    }
}

/// What an update changes; absent fields stay.
pub(crate) fn apply(change: pb::UpdateMember, metadata: Option<String>, member: &mut Member) {
    if let Some(first_name) = change.first_name {
        member.first_name = first_name;
    }
    if let Some(last_name) = change.last_name {
        member.last_name = last_name;
    }
    if let Some(metadata) = metadata {
        member.metadata = metadata;
    }
}
