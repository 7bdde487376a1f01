use crate::{
    fixture::{World, details, object, refused},
    providers::acme,
};
use keystead_proto::{
    v1::connections::{
        Connection, ConnectionType, CreateConnection, CreateEnvironmentConnectionRequest,
        DeleteEnvironmentConnectionRequest, GetConnectionContextRequest,
        GetConnectionTestResultRequest, GetEnvironmentConnectionRequest, GoogleDwdConfig,
        ListAppConnectionsRequest, ListConnectionsRequest, OAuthConnectionConfig,
        ToggleEnvironmentConnectionRequest, UpdateConnection, UpdateConnectionContextRequest,
        UpdateEnvironmentConnectionRequest, connection::Settings, update_connection,
    },
    wrappers::StringValue,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::json;

pub(crate) async fn connection(
    world: &World,
    provider: &str,
    kind: ConnectionType,
    name: &str,
) -> Connection {
    let request = CreateEnvironmentConnectionRequest {
        connection: Some(CreateConnection {
            provider_key: provider.to_owned(),
            r#type: kind as i32,
            key_id: Some(name.to_owned()),
            ..CreateConnection::default()
        }),
        flags: None,
    };
    let made = world
        .client(&world.home)
        .connections()
        .create_environment_connection(request)
        .await;
    made.unwrap().into_inner().connection.unwrap()
}

/// A Gmail connection that can be used.
pub(crate) async fn gmail(world: &World, name: &str) -> Connection {
    gmail_at(world, name, None).await
}

/// A Gmail connection with an authorization endpoint of its own.
pub(crate) async fn gmail_at(world: &World, name: &str, authorize_uri: Option<&str>) -> Connection {
    let made = connection(world, "GMAIL", ConnectionType::Oauth, name).await;
    let text = |value: &str| {
        Some(StringValue {
            value: value.to_owned(),
        })
    };
    let config = OAuthConnectionConfig {
        client_id: text("client-1"),
        client_secret: text("s3cr3t-client"),
        scopes: vec!["https://mail.google.com/".to_owned()],
        authorize_uri: authorize_uri.and_then(text),
        ..OAuthConnectionConfig::default()
    };
    let request = UpdateEnvironmentConnectionRequest {
        connection_id: made.id,
        connection: Some(UpdateConnection {
            settings: Some(update_connection::Settings::OauthConfig(config)),
            ..UpdateConnection::default()
        }),
    };
    let changed = world
        .client(&world.home)
        .connections()
        .update_environment_connection(request)
        .await;
    changed.unwrap().into_inner().connection.unwrap()
}

fn get(id: &str) -> GetEnvironmentConnectionRequest {
    GetEnvironmentConnectionRequest {
        connection_id: id.to_owned(),
    }
}

fn toggle(id: &str) -> ToggleEnvironmentConnectionRequest {
    ToggleEnvironmentConnectionRequest {
        connection_id: id.to_owned(),
    }
}

fn oauth(connection: Connection) -> OAuthConnectionConfig {
    let Some(Settings::OauthConfig(config)) = connection.settings else {
        panic!("not OAuth");
    };
    config
}

on_both_engines! {
    /// AK-101, AK-104, part of AK-106, part of AK-119
    async fn an_oauth_connection_is_completed_and_never_tells_its_secret(test: TestDb) {
        let world = World::started(&test).await;
        let draft = connection(&world, "gmail", ConnectionType::Invalid, "mail").await;
        assert_eq!((draft.status, draft.enabled), (1, false));
        assert_eq!((draft.provider_key.as_str(), draft.r#type), ("GMAIL", 4));
        let mut connections = world.client(&world.home).connections();
        let incomplete = connections.enable_environment_connection(toggle(&draft.id)).await;
        assert_eq!(refused(incomplete), "CONNECTION_INCOMPLETE");

        let ready = gmail(&world, "mail-2").await;
        assert_eq!((ready.status, ready.enabled), (3, true));
        let read = connections.get_environment_connection(get(&ready.id)).await.unwrap().into_inner();
        assert!(!format!("{read:?}").contains("s3cr3t"), "{read:?}");
        let config = oauth(read.connection.unwrap());
        assert_eq!(config.client_secret.clone().unwrap().value, "********");
        assert!(config.redirect_uri.ends_with(&format!("/sso/v1/oauth/{}/callback", ready.id)));

        // Sent back as read, it changes nothing: the mask does not become the secret.
        let request = UpdateEnvironmentConnectionRequest {
            connection_id: ready.id.clone(),
            connection: Some(UpdateConnection {
                settings: Some(update_connection::Settings::OauthConfig(config)),
                ..UpdateConnection::default()
            }),
        };
        connections.update_environment_connection(request).await.unwrap();
        let stored = world.kit.connection(world.home.site.environment.id, ready.id.parse().unwrap()).await.unwrap();
        assert_eq!(stored.secrets.client_secret, "s3cr3t-client");
    }

    /// Empty lists: kept over gRPC, cleared when JSON names them.
    async fn json_can_clear_a_list(test: TestDb) {
        let world = World::started(&test).await;
        let made = gmail(&world, "mail").await;
        let path = format!("/api/v1/connections/{}", made.id);
        let (status, json) = world.rest("PATCH", &path, &json!({ "oauth_config": { "prompt": "consent" } })).await;
        assert_eq!(status.as_u16(), 200, "{json}");
        assert_eq!(json["connection"]["oauth_config"]["scopes"], json!(["https://mail.google.com/"]));
        assert_eq!(json["connection"]["oauth_config"]["prompt"], "consent");
        assert!(!json.to_string().contains("s3cr3t"));
        world.rest("PATCH", &path, &json!({ "oauth_config": { "scopes": [] } })).await;
        let read = world.client(&world.home).connections().get_environment_connection(get(&made.id)).await;
        let config = oauth(read.unwrap().into_inner().connection.unwrap());
        assert!(config.scopes.is_empty());
        assert_eq!(config.prompt.unwrap().value, "consent");
    }

    /// Part of AK-111, section 1.3
    async fn bearer_finds_the_key_pair_of_a_connector(test: TestDb) {
        let world = World::started(&test).await;
        let made = connection(&world, "SNOWFLAKEKEYAUTH", ConnectionType::Bearer, "snow").await;
        assert_eq!((made.r#type, made.enabled), (7, true));
        let stored = world.kit.connection(world.home.site.environment.id, made.id.parse().unwrap()).await.unwrap();
        assert_eq!(stored.kind.as_str(), "KEY_PAIR");
    }

    /// Part of AK-038, AK-104
    async fn what_cannot_be_created_is_refused(test: TestDb) {
        let world = World::started(&test).await;
        let wanted = |provider: &str, kind: ConnectionType| CreateConnection {
            provider_key: provider.to_owned(),
            r#type: kind as i32,
            ..CreateConnection::default()
        };
        let context = CreateConnection {
            context: Some(object(json!({ "timeout": 3 }))),
            ..wanted("GMAIL", ConnectionType::Oauth)
        };
        for (wanted, code) in [
            (wanted("NOBODY", ConnectionType::Oauth), "INVALID_ARGUMENT"),
            (wanted("GMAIL", ConnectionType::ApiKey), "INVALID_ARGUMENT"),
            (wanted("GMAIL", ConnectionType::Saml), "INVALID_ARGUMENT"),
            (context, "INVALID_ARGUMENT"),
            (wanted("", ConnectionType::Oidc), "UNIMPLEMENTED"),
        ] {
            let request = CreateEnvironmentConnectionRequest { connection: Some(wanted.clone()), flags: None };
            let answer = world.client(&world.home).connections().create_environment_connection(request).await;
            assert_eq!(refused(answer), code, "{wanted:?}");
        }
        gmail(&world, "mail").await;
        let taken = CreateConnection { key_id: Some("mail".to_owned()), ..wanted("GMAIL", ConnectionType::Oauth) };
        let request = CreateEnvironmentConnectionRequest { connection: Some(taken), flags: None };
        let answer = world.client(&world.home).connections().create_environment_connection(request).await;
        assert_eq!(refused(answer), "ALREADY_EXISTS");
    }

    async fn settings_of_another_kind_name_the_field(test: TestDb) {
        let world = World::started(&test).await;
        let made = gmail(&world, "mail").await;
        let request = UpdateEnvironmentConnectionRequest {
            connection_id: made.id,
            connection: Some(UpdateConnection {
                settings: Some(update_connection::Settings::GoogleDwdConfig(GoogleDwdConfig::default())),
                ..UpdateConnection::default()
            }),
        };
        let answer = world.client(&world.home).connections().update_environment_connection(request).await;
        let status = answer.unwrap_err();
        let broken = details(&status).validation_error_info.unwrap().field_violations;
        assert_eq!(broken[0].field, "connection.settings");
    }

    /// Part of AK-123, AK-104, part of AK-121
    async fn connections_are_listed_switched_and_deleted(test: TestDb) {
        let world = World::started(&test).await;
        let made = gmail(&world, "mail").await;
        connection(&world, "FRESHDESK", ConnectionType::Basic, "desk").await;
        let mut connections = world.client(&world.home).connections();
        let filter = ListAppConnectionsRequest { provider: Some("GMAIL".to_owned()), ..Default::default() };
        let listed = connections.list_app_connections(filter).await.unwrap().into_inner();
        assert_eq!((listed.total_size, listed.connections.len()), (1, 1));
        let row = &listed.connections[0];
        assert_eq!((row.key_id.as_str(), row.provider_key.as_str(), row.enabled), ("mail", "GMAIL", true));

        let all = ListConnectionsRequest { include: Some("all".to_owned()), ..Default::default() };
        assert_eq!(connections.list_connections(all).await.unwrap().into_inner().connections.len(), 2);
        let logins = connections.list_connections(ListConnectionsRequest::default()).await.unwrap().into_inner();
        assert!(logins.connections.is_empty());

        let off = connections.disable_environment_connection(toggle(&made.id)).await.unwrap().into_inner();
        assert!(!off.enabled);
        let on = connections.enable_environment_connection(toggle(&made.id)).await.unwrap().into_inner();
        assert!(on.enabled);
        let delete = || DeleteEnvironmentConnectionRequest { connection_id: made.id.clone() };
        connections.delete_environment_connection(delete()).await.unwrap();
        assert_eq!(refused(connections.delete_environment_connection(delete()).await), "CONNECTION_NOT_FOUND");
    }

    /// AK-020: a connector in use stays.
    async fn a_connector_with_a_connection_cannot_be_deleted(test: TestDb) {
        let world = World::started(&test).await;
        let request = acme(json!([{ "type": "BEARER" }]));
        let made = world.client(&world.home).providers().create_custom_provider(request).await;
        let identifier = made.unwrap().into_inner().provider.unwrap().identifier;
        connection(&world, &identifier, ConnectionType::Bearer, "tasks").await;
        let delete = keystead_proto::v1::providers::DeleteProviderRequest { identifier };
        let answer = world.client(&world.home).providers().delete_custom_provider(delete).await;
        assert!(answer.as_ref().unwrap_err().message().contains("tasks"));
        assert_eq!(refused(answer), "FAILED_PRECONDITION");
    }

    /// Ids of another environment, and texts that are no id, name nothing.
    async fn connections_belong_to_their_environment(test: TestDb) {
        let world = World::started(&test).await;
        let made = gmail(&world, "mail").await;
        let mut stranger = world.client(&world.other).connections();
        for id in [made.id.as_str(), "conn_1", "nonsense"] {
            assert_eq!(refused(stranger.get_environment_connection(get(id)).await), "CONNECTION_NOT_FOUND");
            assert_eq!(refused(stranger.disable_environment_connection(toggle(id)).await), "CONNECTION_NOT_FOUND");
            let delete = DeleteEnvironmentConnectionRequest { connection_id: id.to_owned() };
            assert_eq!(refused(stranger.delete_environment_connection(delete).await), "CONNECTION_NOT_FOUND");
        }
        let listed = stranger.list_app_connections(ListAppConnectionsRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.total_size, 0);
        let test = GetConnectionTestResultRequest { connection_id: made.id, test_request_id: "test_1".to_owned() };
        assert_eq!(refused(stranger.get_connection_test_result(test).await), "NOT_FOUND");
    }

    /// Part of AK-112, part of AK-113: request policy and token settings are read and replaced as the
    /// connection's context, by members only.
    async fn the_context_of_a_connection_is_read_and_replaced(test: TestDb) {
        let world = World::started(&test).await;
        let mail = gmail(&world, "mail").await;
        let member = world.member().await;
        let read = async |id: &str| {
            let request = GetConnectionContextRequest { connection_id: id.to_owned(), ..Default::default() };
            member.connections().get_connection_context(request).await
        };
        let write = |id: &str, context: serde_json::Value| UpdateConnectionContextRequest {
            connection_id: id.to_owned(), context: Some(object(context)), ..Default::default()
        };
        for policy in [json!({"timeout": 20, "rate_limit": 100}), json!({"refresh_buffer": 60})] {
            member.connections().update_connection_context(write(&mail.id, policy.clone())).await.unwrap();
            let context = read(&mail.id).await.unwrap().into_inner().context;
            assert_eq!(context, Some(object(policy)), "the whole of it is replaced");
        }
        let unknown = "conn_999999999999999";
        assert_eq!(refused(read(unknown).await), "CONNECTION_NOT_FOUND");
        let written = member.connections().update_connection_context(write(unknown, json!({}))).await;
        assert_eq!(refused(written), "CONNECTION_NOT_FOUND");
        let backend = world.client(&world.home).connections().update_connection_context(write(&mail.id, json!({}))).await;
        assert_eq!(backend.unwrap_err().code(), tonic::Code::PermissionDenied);
        let context = read(&mail.id).await.unwrap().into_inner().context;
        assert_eq!(context, Some(object(json!({"refresh_buffer": 60}))));
    }
}
