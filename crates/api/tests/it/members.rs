use crate::fixture::{Server, sent_by};
use keystead_proto::v1::members::{self as pb, members_service_client::MembersServiceClient};
use keystead_testkit::{engines::TestDb, on_both_engines};
use tonic::Code;

on_both_engines! {
    /// Part of DB-042, part of DB-043
    async fn a_member_reads_and_changes_the_own_profile(test: TestDb) {
        let server = Server::started(&test).await;
        let mut client = MembersServiceClient::with_interceptor(server.routes(), sent_by(&server.member().await));
        let me = client.get_current_member(pb::GetCurrentMemberRequest {}).await.unwrap().into_inner();
        assert!(me.dashboard_permissions.iter().any(|key| key == "members:write"));
        let member = me.member.unwrap();
        assert_eq!((member.email.as_str(), member.role), ("ada@acme.test", pb::MemberRole::Admin as i32));
        assert_eq!(member.dashboard_role.as_ref().unwrap().name, "admin");

        let change = pb::UpdateMember { last_name: Some("Lovelace".to_owned()), ..pb::UpdateMember::default() };
        let request = pb::UpdateCurrentMemberRequest { member: Some(change) };
        let changed = client.update_current_member(request).await.unwrap().into_inner().member.unwrap();
        assert_eq!((changed.first_name.as_deref(), changed.last_name.as_deref()), (Some("Ada"), Some("Lovelace")));
        let read = client.get_member(pb::GetMemberRequest { id: member.id }).await.unwrap().into_inner();
        assert_eq!(read.member, Some(changed));
        let listed = client.list_members(pb::ListMemberRequest::default()).await.unwrap().into_inner();
        assert_eq!((listed.members.len(), listed.total_size), (1, 1));
        let missing = pb::GetMemberRequest { id: "mem_123456789012345".to_owned() };
        assert_eq!(client.get_member(missing).await.unwrap_err().code(), Code::NotFound);
    }

    /// Part of DB-043: an API client is no member.
    async fn an_api_client_has_no_profile(test: TestDb) {
        let server = Server::started(&test).await;
        let mut client = MembersServiceClient::with_interceptor(server.routes(), sent_by(&server.client().await));
        let refused = client.get_current_member(pb::GetCurrentMemberRequest {}).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
}
