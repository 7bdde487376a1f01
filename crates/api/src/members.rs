//! `MembersService`: reading and deleting members, and the caller's own profile. Invitations and custom
//! roles are not built yet.

use crate::{
    App,
    convert::members as convert,
    request::{Reply, open, page},
    status::{failed, internal},
};
use keystead_authz::{Caller, Permissions};
use keystead_identity::members::{self as domain, Error, Member};
use keystead_proto::v1::members::{self as pb, members_service_server::MembersService};
use keystead_types::{Internal, MemberId};
use tonic::{Request, Response, Status, async_trait};

pub(crate) struct Members(pub(crate) App);

fn answer(member: &Member) -> Reply<pb::GetMemberResponse> {
    let permissions = Permissions::of_role(member.role)
        .keys()
        .map(str::to_owned)
        .collect();
    Ok(Response::new(pb::GetMemberResponse {
        member: Some(convert::member(member).map_err(internal)?),
        dashboard_permissions: permissions,
    }))
}

impl Members {
    async fn change(
        &self,
        caller: &Caller,
        id: MemberId,
        change: Option<pb::UpdateMember>,
    ) -> Reply<pb::UpdateMemberResponse> {
        let change = change.unwrap_or_default();
        let metadata =
            (!change.metadata.is_empty()).then(|| serde_json::to_string(&change.metadata));
        let metadata = metadata
            .transpose()
            .map_err(|error| internal(Internal::new(error)))?;
        let apply = |member: &mut Member| convert::apply(change, metadata, member);
        let member = domain::update(&self.0.ctx, caller.workspace(), id, apply)
            .await
            .map_err(failed)?;
        let member = Some(convert::member(&member).map_err(internal)?);
        Ok(Response::new(pb::UpdateMemberResponse { member }))
    }
}

/// An id that cannot be one of ours is the id of nothing.
fn member_id(id: &str) -> Result<MemberId, Status> {
    id.parse().map_err(|_| failed(Error::NotFound))
}

#[async_trait]
impl MembersService for Members {
    async fn get_current_member(
        &self,
        request: Request<pb::GetCurrentMemberRequest>,
    ) -> Reply<pb::GetMemberResponse> {
        let (caller, _) = open(request)?;
        let id = caller.require_member().map_err(failed)?;
        answer(
            &domain::get(&self.0.ctx, caller.workspace(), id)
                .await
                .map_err(failed)?,
        )
    }

    async fn get_member(
        &self,
        request: Request<pb::GetMemberRequest>,
    ) -> Reply<pb::GetMemberResponse> {
        let (caller, message) = open(request)?;
        let id = member_id(&message.id)?;
        answer(
            &domain::get(&self.0.ctx, caller.workspace(), id)
                .await
                .map_err(failed)?,
        )
    }

    async fn list_members(
        &self,
        request: Request<pb::ListMemberRequest>,
    ) -> Reply<pb::ListMemberResponse> {
        let (caller, message) = open(request)?;
        let asked = page(message.page_size, message.page_token);
        let listed = domain::list(&self.0.ctx, caller.workspace(), &asked)
            .await
            .map_err(failed)?;
        let members = listed
            .items
            .iter()
            .map(convert::member)
            .collect::<Result<_, _>>()
            .map_err(internal)?;
        Ok(Response::new(pb::ListMemberResponse {
            next_page_token: listed.next_page_token,
            total_size: crate::convert::total(listed.total_size),
            members,
        }))
    }

    async fn update_current_member(
        &self,
        request: Request<pb::UpdateCurrentMemberRequest>,
    ) -> Reply<pb::UpdateMemberResponse> {
        let (caller, message) = open(request)?;
        let id = caller.require_member().map_err(failed)?;
        self.change(&caller, id, message.member).await
    }

    async fn update_member(
        &self,
        request: Request<pb::UpdateMemberRequest>,
    ) -> Reply<pb::UpdateMemberResponse> {
        let (caller, message) = open(request)?;
        self.change(&caller, member_id(&message.id)?, message.member)
            .await
    }

    async fn delete_member(&self, request: Request<pb::DeleteMemberRequest>) -> Reply<()> {
        let (caller, message) = open(request)?;
        let id = member_id(&message.id)?;
        domain::delete(&self.0.ctx, &caller.actor(), caller.workspace(), id)
            .await
            .map_err(failed)?;
        // The sessions went with the member; this node may remember them.
        let authorizer = &self.0.authorizer;
        authorizer.sign_out_everywhere(id).await.map_err(internal)?;
        Ok(Response::new(()))
    }
}
