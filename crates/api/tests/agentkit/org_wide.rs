use crate::{
    connections::{connection, gmail},
    fixture::{World, object, refused},
};
use keystead_proto::v1::{
    connected_accounts::{
        AuthorizationDetails, AuthorizeOrgWideCredentialRequest, ConnectorStatus,
        DeleteConnectedAccountRequest, DisconnectConnectedAccountRequest,
        ListConnectedAccountsRequest, StaticAuth, authorization_details::Details,
    },
    connections::{
        ConnectionAuthMode, ConnectionType, CreateConnection, CreateEnvironmentConnectionRequest,
        ListAppConnectionsRequest,
    },
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::json;

async fn shared(world: &World, provider: &str, kind: ConnectionType, name: &str) -> String {
    let request = CreateEnvironmentConnectionRequest {
        connection: Some(CreateConnection {
            provider_key: provider.to_owned(),
            r#type: kind as i32,
            key_id: Some(name.to_owned()),
            auth_mode: ConnectionAuthMode::OrgWide as i32,
            ..CreateConnection::default()
        }),
        flags: None,
    };
    let mut connections = world.client(&world.home).connections();
    let made = connections
        .create_environment_connection(request)
        .await
        .unwrap()
        .into_inner()
        .connection
        .unwrap();
    assert_eq!(made.auth_mode, ConnectionAuthMode::OrgWide as i32);
    made.id
}

fn with(
    connection: &str,
    credential: Option<serde_json::Value>,
) -> AuthorizeOrgWideCredentialRequest {
    AuthorizeOrgWideCredentialRequest {
        connection_id: connection.to_owned(),
        authorization_details: credential.map(|json| AuthorizationDetails {
            details: Some(Details::StaticAuth(StaticAuth {
                details: Some(object(json)),
            })),
        }),
        api_config: None,
    }
}

on_both_engines! {
    /// AK-240, part of AK-120: a member stores the shared credential of a connection; its account is marked in lists.
    async fn a_member_authorizes_for_the_organization(test: TestDb) {
        let world = World::started(&test).await;
        let desk = shared(&world, "FRESHDESK", ConnectionType::Basic, "desk").await;
        let listed = world.client(&world.home).connections().list_app_connections(ListAppConnectionsRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.connections[0].auth_mode, ConnectionAuthMode::OrgWide as i32);
        let credential = json!({ "domain": "acme.freshdesk.com", "username": "key", "password": "X" });
        let mut accounts = world.member().await.accounts();
        let done = accounts.authorize_org_wide_credential(with(&desk, Some(credential))).await.unwrap().into_inner();
        assert_eq!((done.link, done.expiry, done.status), (None, None, ConnectorStatus::Active as i32));
        let only = |shared| ListConnectedAccountsRequest { is_org_wide_credential: Some(shared), ..ListConnectedAccountsRequest::default() };
        let listed = accounts.list_connected_accounts(only(true)).await.unwrap().into_inner().connected_accounts;
        assert_eq!(listed.len(), 1);
        assert!(listed[0].is_org_wide_credential && listed[0].id == done.connected_account_id);
        assert!(accounts.list_connected_accounts(only(false)).await.unwrap().into_inner().connected_accounts.is_empty());
    }

    /// AK-213, AK-214, AK-240: nor does anybody but a member end it for all users.
    async fn ending_the_shared_credential_is_for_members(test: TestDb) {
        let world = World::started(&test).await;
        let desk = shared(&world, "FRESHDESK", ConnectionType::Basic, "desk").await;
        let credential = json!({ "domain": "acme.freshdesk.com", "username": "key", "password": "X" });
        let mut member = world.member().await.accounts();
        let id = member.authorize_org_wide_credential(with(&desk, Some(credential))).await.unwrap().into_inner().connected_account_id;
        let disconnect = || DisconnectConnectedAccountRequest { id: id.clone() };
        let delete = || DeleteConnectedAccountRequest { id: Some(id.clone()), ..DeleteConnectedAccountRequest::default() };
        let mut client = world.client(&world.home).accounts();
        assert_eq!(refused(client.disconnect_connected_account(disconnect()).await), "FAILED_PRECONDITION");
        assert_eq!(refused(client.delete_connected_account(delete()).await), "FAILED_PRECONDITION");
        assert!(world.stored(&id).await.credential.details.contains_key("password"));
        member.disconnect_connected_account(disconnect()).await.unwrap();
        member.delete_connected_account(delete()).await.unwrap();
    }

    /// AK-240, AK-242, AK-704: nobody but a member authorizes for all users, and only where they share a credential.
    async fn authorizing_for_all_is_for_members_and_shared_connections(test: TestDb) {
        let world = World::started(&test).await;
        let desk = shared(&world, "FRESHDESK", ConnectionType::Basic, "desk").await;
        let own = connection(&world, "FRESHDESK", ConnectionType::Basic, "own").await.id;
        let mail = gmail(&world, "mail").await.id;
        let mut client = world.client(&world.home).accounts();
        assert_eq!(refused(client.authorize_org_wide_credential(with(&desk, Some(json!({ "username": "k" })))).await), "PERMISSION_DENIED");
        let mut member = world.member().await.accounts();
        for id in [&own, &mail] {
            assert_eq!(refused(member.authorize_org_wide_credential(with(id, None)).await), "FAILED_PRECONDITION");
        }
        assert_eq!(refused(member.authorize_org_wide_credential(with(&desk, None)).await), "INVALID_ARGUMENT");
        assert_eq!(refused(member.authorize_org_wide_credential(with("conn_1", None)).await), "CONNECTION_NOT_FOUND");
        let draft = shared(&world, "SLACK", ConnectionType::Oauth, "slack").await;
        assert_eq!(refused(member.authorize_org_wide_credential(with(&draft, None)).await), "CONNECTION_NOT_ENABLED");
    }
}
