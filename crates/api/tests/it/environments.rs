use crate::fixture::{Server, reason, sent_by};
use keystead_proto::v1::{
    commons::EnvironmentType,
    environments::{self as pb, environment_service_client::EnvironmentServiceClient},
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use tonic::Code;

on_both_engines! {
    /// DB-022, DB-023
    async fn a_member_creates_renames_moves_and_deletes_an_environment(test: TestDb) {
        let server = Server::started(&test).await;
        let mut client = EnvironmentServiceClient::with_interceptor(server.routes(), sent_by(&server.member().await));
        let wanted = pb::CreateEnvironment {
            display_name: "Staging".to_owned(),
            r#type: Some(EnvironmentType::Prd as i32),
            add_ons: vec!["ignored".to_owned()],
            ..pb::CreateEnvironment::default()
        };
        let request = pb::CreateEnvironmentRequest { environment: Some(wanted) };
        let created = client.create_environment(request).await.unwrap().into_inner().environment.unwrap();
        assert_eq!(created.r#type, EnvironmentType::Prd as i32);

        let change = pb::UpdateEnvironment { display_name: Some("Live".to_owned()) };
        let request = pb::UpdateEnvironmentRequest { id: created.id.clone(), environment: Some(change) };
        let renamed = client.update_environment(request).await.unwrap().into_inner().environment.unwrap();
        assert_eq!(renamed.display_name, "Live");
        let change = pb::UpdateEnvironmentDomain { domain: Some("auth.acme.test".to_owned()) };
        let request = pb::UpdateEnvironmentDomainRequest { id: created.id.clone(), environment: Some(change) };
        let moved = client.update_environment_domain(request).await.unwrap().into_inner().environment.unwrap();
        assert!(moved.domain.starts_with("auth.acme.test"));
        let read = client.get_environment(pb::GetEnvironmentRequest { id: created.id.clone() }).await.unwrap().into_inner();
        assert_eq!(read.environment, Some(moved));
        let listed = client.list_environment(pb::ListEnvironmentsRequest::default()).await.unwrap().into_inner();
        assert_eq!((listed.environments.len(), listed.total_size), (3, 3));

        let request = pb::DeleteEnvironmentRequest { id: created.id.clone() };
        client.delete_environment(request.clone()).await.unwrap();
        let gone = client.delete_environment(request).await.unwrap_err();
        assert_eq!(reason(&gone), (Code::NotFound, "NOT_FOUND".to_owned()));
        let bad = pb::ListEnvironmentsRequest { page_token: "junk".to_owned(), ..Default::default() };
        assert_eq!(client.list_environment(bad).await.unwrap_err().code(), Code::InvalidArgument);
    }

    /// DB section 4: the contract names no caller kind for deletion; only members may.
    async fn an_api_client_cannot_delete_an_environment(test: TestDb) {
        let server = Server::started(&test).await;
        let mut client = EnvironmentServiceClient::with_interceptor(server.routes(), sent_by(&server.client().await));
        let request = pb::DeleteEnvironmentRequest { id: server.created.environment.id.to_string() };
        assert_eq!(client.delete_environment(request).await.unwrap_err().code(), Code::PermissionDenied);
    }
}
