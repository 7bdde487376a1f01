use crate::fixture::{Server, reason, sent_by};
use keystead_proto::v1::clients::{self as pb, client_service_client::ClientServiceClient};
use keystead_testkit::{engines::TestDb, on_both_engines};
use tonic::Code;

on_both_engines! {
    /// MC-282, part of LG-286, part of LG-281, LG-282, LG-284, MC-317
    async fn a_client_is_created_changed_and_rotated(test: TestDb) {
        let server = Server::started(&test).await;
        let caller = server.client().await;
        let mut client = ClientServiceClient::with_interceptor(server.routes(), sent_by(&caller));
        let wanted = pb::CreateClient {
            name: "Web".to_owned(),
            client_type: "WEB_APP".to_owned(),
            post_login_uris: vec!["https://app.test/b".to_owned(), "https://app.test/a".to_owned()],
            custom_claims: vec![pb::CustomClaim { key: "plan".to_owned(), value: "pro".to_owned() }],
            ip_allowlist: Some(pb::IpAllowlist {
                opted_in: true,
                cidrs: vec![pb::CidrEntry { value: "2001:db8::/32".to_owned(), r#type: 0 }],
            }),
            ..pb::CreateClient::default()
        };
        let created = client.create_client(pb::CreateClientRequest { client: Some(wanted) }).await.unwrap().into_inner().client.unwrap();
        assert_eq!((created.client_type.as_str(), created.enforce_pkce), ("WEB_APP", false));
        assert_eq!(created.post_login_uris, ["https://app.test/b", "https://app.test/a"], "the order is kept");
        assert_eq!(created.ip_allowlist.as_ref().unwrap().cidrs[0].r#type, pb::CidrType::Ipv6 as i32);
        assert!(created.key_id.starts_with("snk_"));

        let change = pb::UpdateClient { name: "Web 2".to_owned(), access_token_expiry: 600, ..pb::UpdateClient::default() };
        let request = pb::UpdateClientRequest { client_id: created.id.clone(), client: Some(change), mask: None };
        let changed = client.update_client(request).await.unwrap().into_inner().client.unwrap();
        assert_eq!((changed.name.as_str(), changed.access_token_expiry, changed.custom_claims.len()), ("Web 2", Some(600), 1));

        let secret = pb::CreateClientSecretRequest { client_id: created.id.clone() };
        let first = client.create_client_secret(secret.clone()).await.unwrap().into_inner();
        let stored = first.secret.unwrap();
        assert!(first.plain_secret.starts_with("test_") && first.plain_secret.ends_with(&stored.secret_suffix));
        assert_eq!((stored.plain_secret, stored.created_by), (None, Some(caller.name())));
        server.tick();
        client.create_client_secret(secret.clone()).await.unwrap();
        let third = client.create_client_secret(secret).await.unwrap_err();
        assert_eq!(reason(&third), (Code::FailedPrecondition, "SECRET_LIMIT_REACHED".to_owned()));

        let request = pb::UpdateClientSecretRequest {
            client_id: created.id.clone(),
            secret_id: stored.id.clone(),
            secret: Some(pb::UpdateClientSecret { status: pb::ClientSecretStatus::Inactive as i32 }),
            mask: None,
        };
        let off = client.update_client_secret(request).await.unwrap().into_inner().secret.unwrap();
        assert_eq!(off.status, pb::ClientSecretStatus::Inactive as i32);
        let request = pb::DeleteClientSecretRequest { client_id: created.id.clone(), secret_id: stored.id };
        client.delete_client_secret(request.clone()).await.unwrap();
        assert_eq!(client.delete_client_secret(request).await.unwrap_err().code(), Code::NotFound);
        let read = client.get_client(pb::GetClientRequest { client_id: created.id.clone() }).await.unwrap().into_inner().client.unwrap();
        assert_eq!(read.secrets.len(), 1);
        assert!(read.secrets.iter().all(|secret| secret.plain_secret.is_none()), "shown once");

        client.delete_client(pb::DeleteClientRequest { client_id: created.id.clone() }).await.unwrap();
        let gone = client.get_client(pb::GetClientRequest { client_id: created.id }).await.unwrap_err();
        assert_eq!(gone.code(), Code::NotFound);
    }

    /// LG-283, LG-284
    async fn the_environments_own_client_is_listed_and_stays(test: TestDb) {
        let server = Server::started(&test).await;
        let mut client = ClientServiceClient::with_interceptor(server.routes(), sent_by(&server.client().await));
        // An old client library asks for the secrets too; they do not exist any more.
        let request = pb::ListClientsRequest {
            include_plain_secret: true,
            filter: Some(pb::list_clients_request::Filter { client_type: vec!["ENV".to_owned()] }),
            ..pb::ListClientsRequest::default()
        };
        let listed = client.list_client(request).await.unwrap().into_inner();
        assert_eq!((listed.clients.len(), listed.total_size), (1, 1));
        assert_eq!(listed.clients[0].id, server.created.client.to_string());
        assert_eq!(listed.clients[0].secrets[0].plain_secret, None);
        let request = pb::DeleteClientRequest { client_id: server.created.client.to_string() };
        assert_eq!(client.delete_client(request).await.unwrap_err().code(), Code::FailedPrecondition);
        let only = pb::DeleteClientSecretRequest {
            client_id: server.created.client.to_string(),
            secret_id: server.created.secret.secret.id.to_string(),
        };
        assert_eq!(client.delete_client_secret(only).await.unwrap_err().code(), Code::FailedPrecondition);
        let filter = Some(pb::list_clients_request::Filter { client_type: vec!["ROBOT".to_owned()] });
        let request = pb::ListClientsRequest { filter, ..pb::ListClientsRequest::default() };
        assert_eq!(client.list_client(request).await.unwrap_err().code(), Code::InvalidArgument);
    }

    /// LG-285
    async fn the_environment_shortcuts_change_its_own_client(test: TestDb) {
        let server = Server::started(&test).await;
        let mut client = ClientServiceClient::with_interceptor(server.routes(), sent_by(&server.client().await));
        let uri = "https://app.test/callback".to_owned();
        for _ in 0..2 {
            let request = pb::AddEnvironmentRedirectUriRequest { redirect_uri: uri.clone() };
            let added = client.add_environment_redirect_uri(request).await.unwrap().into_inner();
            assert_eq!((added.client_id, added.redirect_uris), (server.created.client.to_string(), vec![uri.clone()]));
        }
        let request = pb::SetEnvironmentInitiateLoginUriRequest { initiate_login_uri: "https://app.test/login".to_owned() };
        let set = client.set_environment_initiate_login_uri(request).await.unwrap().into_inner();
        assert_eq!(set.initiate_login_uri, "https://app.test/login");
        let request = pb::RemoveEnvironmentRedirectUriRequest { redirect_uri: uri };
        assert!(client.remove_environment_redirect_uri(request).await.unwrap().into_inner().redirect_uris.is_empty());
        let request = pb::AddEnvironmentRedirectUriRequest { redirect_uri: "javascript:alert(1)".to_owned() };
        assert_eq!(client.add_environment_redirect_uri(request).await.unwrap_err().code(), Code::InvalidArgument);
    }
}
