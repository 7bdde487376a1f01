use crate::fixture::{Server, reason, sent_by};
use keystead_proto::extensions::{
    self as ext, environment_extension_service_client::EnvironmentExtensionServiceClient,
};
use keystead_proto::v1::{
    commons::EnvironmentType,
    environments::{self as pb, environment_service_client::EnvironmentServiceClient},
};
use keystead_store::audit_records;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Timestamp;
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

    /// AK-302, part of AK-324, part of AK-325, part of DB-123: a member sets up the links; each part keeps what the other stored.
    async fn settings_of_agents_are_read_as_they_were_written(test: TestDb) {
        let server = Server::started(&test).await;
        let member = server.member().await;
        let id = server.created.environment.id.to_string();
        let mut links = EnvironmentExtensionServiceClient::with_interceptor(server.routes(), sent_by(&member));
        let mut environments = EnvironmentServiceClient::with_interceptor(server.routes(), sent_by(&member));
        let get = ext::GetAgentLinkSettingsRequest { id: id.clone() };
        let fresh = links.get_agent_link_settings(get.clone()).await.unwrap().into_inner().settings.unwrap();
        assert_eq!((fresh.link_lifetime_seconds, fresh.allowed_user_verify_urls.len()), (3600, 0));
        let settings = ext::AgentLinkSettings {
            link_lifetime_seconds: 604_800,
            default_user_verify_url: "https://app.test/verify".to_owned(),
            allowed_user_verify_urls: vec!["https://app.test".to_owned()],
        };
        let update = |settings| ext::UpdateAgentLinkSettingsRequest { id: id.clone(), settings: Some(settings) };
        links.update_agent_link_settings(update(settings.clone())).await.unwrap();

        let config = |detailed, mode| Some(pb::AgentActionsConfig { user_verify_mode: mode, detailed_error_logging: detailed });
        let change = |sent| pb::UpdateAgentActionsConfigRequest { id: id.clone(), agent_actions_config: sent };
        environments.update_agent_actions_config(change(config(Some(true), 0))).await.unwrap();
        environments.update_agent_actions_config(change(config(None, 2))).await.unwrap();
        let read = environments.get_agent_actions_config(pb::GetAgentActionsConfigRequest { id: id.clone() }).await.unwrap().into_inner();
        assert_eq!(read.agent_actions_config, config(Some(true), 2), "what is left out stays");
        assert_eq!(links.get_agent_link_settings(get).await.unwrap().into_inner().settings, Some(settings.clone()));

        let bad = ext::AgentLinkSettings { default_user_verify_url: "nowhere".to_owned(), ..settings.clone() };
        assert_eq!(links.update_agent_link_settings(update(bad)).await.unwrap_err().code(), Code::InvalidArgument);
        let unknown = ext::UpdateAgentLinkSettingsRequest { id: "env_1".to_owned(), settings: Some(settings) };
        assert_eq!(links.update_agent_link_settings(unknown).await.unwrap_err().code(), Code::NotFound);
        let end = Timestamp::from_micros(i64::MAX);
        let mut read = server.ctx.db.read(server.created.environment.id);
        let audited = audit_records::latest(&mut read, end, "~", 100).await.unwrap();
        assert_eq!(audited.iter().filter(|row| row.action == "agentkit_settings.updated").count(), 3);
    }

    /// AK-455: on at first; a member switches it, and other settings stay.
    async fn direct_calls_of_built_in_connectors_are_switched(test: TestDb) {
        let server = Server::started(&test).await;
        let member = server.member().await;
        let id = server.created.environment.id.to_string();
        let mut settings = EnvironmentExtensionServiceClient::with_interceptor(server.routes(), sent_by(&member));
        let get = ext::GetAgentCallSettingsRequest { id: id.clone() };
        let fresh = settings.get_agent_call_settings(get.clone()).await.unwrap().into_inner().settings;
        assert_eq!(fresh, Some(ext::AgentCallSettings { builtin_direct_calls: true }));
        let links = ext::AgentLinkSettings { link_lifetime_seconds: 60, ..ext::AgentLinkSettings::default() };
        let update = ext::UpdateAgentLinkSettingsRequest { id: id.clone(), settings: Some(links.clone()) };
        settings.update_agent_link_settings(update).await.unwrap();

        let off = Some(ext::AgentCallSettings { builtin_direct_calls: false });
        let update = |id: &str, settings| ext::UpdateAgentCallSettingsRequest { id: id.to_owned(), settings };
        settings.update_agent_call_settings(update(&id, off)).await.unwrap();
        assert_eq!(settings.get_agent_call_settings(get).await.unwrap().into_inner().settings, off);
        let kept = settings.get_agent_link_settings(ext::GetAgentLinkSettingsRequest { id: id.clone() }).await;
        assert_eq!(kept.unwrap().into_inner().settings, Some(links));
        assert_eq!(settings.update_agent_call_settings(update("env_1", off)).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(settings.update_agent_call_settings(update(&id, None)).await.unwrap_err().code(), Code::InvalidArgument);
    }

    /// DB section 4: the contract names no caller kind for deletion; only members may.
    async fn an_api_client_cannot_delete_an_environment(test: TestDb) {
        let server = Server::started(&test).await;
        let mut client = EnvironmentServiceClient::with_interceptor(server.routes(), sent_by(&server.client().await));
        let request = pb::DeleteEnvironmentRequest { id: server.created.environment.id.to_string() };
        assert_eq!(client.delete_environment(request).await.unwrap_err().code(), Code::PermissionDenied);
    }
}
