use crate::fixture::{Server, sent_by};
use keystead_proto::v1::workspaces::{
    self as pb, workspace_service_client::WorkspaceServiceClient,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use prost_types::{Struct, Value, value::Kind};
use tonic::Code;

on_both_engines! {
    /// DB-005
    async fn the_own_workspace_is_read_renamed_and_remembers_page_state(test: TestDb) {
        let server = Server::started(&test).await;
        let mut client = WorkspaceServiceClient::with_interceptor(server.routes(), sent_by(&server.member().await));
        let change = pb::UpdateWorkspace { display_name: "Acme Inc".to_owned() };
        let request = pb::UpdateCurrentWorkspaceRequest { workspace: Some(change) };
        client.update_current_workspace(request).await.unwrap();
        let context = Struct {
            fields: [("step".to_owned(), Value { kind: Some(Kind::NumberValue(2.0)) })].into(),
        };
        let request = pb::UpdateWorkspaceContextRequest { context: Some(context.clone()) };
        client.update_workspace_context(request).await.unwrap();
        let read = client.get_current_workspace(pb::GetCurrentWorkspaceRequest {}).await.unwrap().into_inner();
        let workspace = read.workspace.unwrap();
        assert_eq!((workspace.display_name.as_str(), workspace.id), ("Acme Inc", server.created.workspace.to_string()));
        assert_eq!(read.context, Some(context));

        let other = pb::GetWorkspaceRequest { id: "wks_123456789012345".to_owned() };
        assert_eq!(client.get_workspace(other).await.unwrap_err().code(), Code::NotFound);
        let own = pb::GetWorkspaceRequest { id: server.created.workspace.to_string() };
        assert!(client.get_workspace(own).await.is_ok());
        let large = Struct {
            fields: [("x".to_owned(), Value { kind: Some(Kind::StringValue("x".repeat(70_000))) })].into(),
        };
        let refused = client.update_workspace_context(pb::UpdateWorkspaceContextRequest { context: Some(large) }).await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    }
}
