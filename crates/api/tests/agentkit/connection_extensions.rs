use crate::{
    connected_account_extensions::{account, token},
    connections::{connection, gmail, gmail_at},
    fixture::{World, refused},
};
use keystead_proto::{
    extensions::{
        DeleteConnectionWithAccountsRequest, GetConnectionHealthRequest, ListMissingScopesRequest,
        ListPlatformCredentialsRequest, TestConnectionRequest, TestConnectionResponse,
    },
    v1::{
        connected_accounts::ConnectorStatus,
        connections::{ConnectionType, GetConnectionTestResultRequest, TestResultStatus},
    },
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::json;
use tonic::{Code, Status};

fn health(id: &str) -> GetConnectionHealthRequest {
    GetConnectionHealthRequest {
        connection_id: id.to_owned(),
    }
}

fn test_of(id: &str, identifier: &str) -> TestConnectionRequest {
    TestConnectionRequest {
        connection_id: id.to_owned(),
        identifier: identifier.to_owned(),
    }
}

fn code<T>(answer: Result<T, Status>) -> Code {
    answer.err().unwrap().code()
}

on_both_engines! {
    /// Part of AK-109, part of AK-116, part of AK-117: over gRPC and REST; never for another environment or a
    /// link's visitor.
    async fn health_and_tests_are_told_to_the_environment_alone(test: TestDb) {
        let world = World::started(&test).await;
        let made = gmail(&world, "mail").await;
        let ada = account(&world, "mail", "ada", token()).await;
        let mut records = world.client(&world.home).connection_extensions();
        let told = records.get_connection_health(health(&made.id)).await.unwrap().into_inner();
        let tallies: Vec<_> = told.accounts.iter().map(|tally| (tally.status, tally.total)).collect();
        assert_eq!(tallies, [(ConnectorStatus::Active.into(), 1)]);
        assert_eq!((told.last_test, told.calls.unwrap().count), (None, 0));

        let gone = gmail_at(&world, "gone", Some("https://127.0.0.1/authorize")).await;
        let failed = records.test_connection(test_of(&gone.id, "test-ada")).await.unwrap().into_inner();
        assert_eq!((failed.link.as_str(), failed.expiry), ("", None), "its endpoint cannot be asked");
        let last = records.get_connection_health(health(&gone.id)).await.unwrap().into_inner().last_test.unwrap();
        assert_eq!((last.status, last.error.as_str()), (TestResultStatus::Failure.into(), "authorization_endpoint_unreachable"));

        let made = connection(&world, "FRESHDESK", ConnectionType::Basic, "desk").await;
        let begun: TestConnectionResponse = records.test_connection(test_of(&made.id, "test-ada")).await.unwrap().into_inner();
        assert!(begun.link.contains("/oauth/connect?token=") && begun.expiry.is_some());
        let ask = |test: &str| GetConnectionTestResultRequest { connection_id: made.id.clone(), test_request_id: test.to_owned() };
        let mut connections = world.client(&world.home).connections();
        let result = connections.get_connection_test_result(ask(&begun.test_request_id)).await.unwrap().into_inner();
        assert_eq!((result.status, result.error), (TestResultStatus::Pending.into(), None));
        let path = format!("/api/v1/connections/{}/test-requests/{}", made.id, begun.test_request_id);
        let (status, json) = world.rest("GET", &path, &json!(null)).await;
        assert_eq!(status.as_u16(), 200);
        assert_ne!(json["status"], "SUCCESS");
        let told = records.get_connection_health(health(&made.id)).await.unwrap().into_inner();
        assert_eq!(told.last_test.unwrap().id, begun.test_request_id);
        let path = format!("/api/v1/connections/{}", made.id);
        let (status, json) = world.rest("GET", &format!("{path}/health"), &json!(null)).await;
        assert_eq!((status.as_u16(), &json["accounts"].as_array().unwrap().len()), (200, &1));
        let (status, json) = world.rest("POST", &format!("{path}/test-requests"), &json!({"identifier": "test-bo"})).await;
        assert_eq!(status.as_u16(), 200, "{json}");
        assert!(json["test_request_id"].as_str().unwrap().starts_with("test_"));

        let mut stranger = world.client(&world.other).connection_extensions();
        assert_eq!(refused(stranger.get_connection_health(health(&made.id)).await), "CONNECTION_NOT_FOUND");
        assert_eq!(refused(stranger.test_connection(test_of(&made.id, "ada")).await), "CONNECTION_NOT_FOUND");
        let mut elsewhere = world.client(&world.other).connections();
        assert_eq!(refused(elsewhere.get_connection_test_result(ask(&begun.test_request_id)).await), "NOT_FOUND");
        let mut visitor = world.visitor(&ada.id).await.connection_extensions();
        assert_eq!(code(visitor.get_connection_health(health(&made.id)).await), Code::PermissionDenied);
        assert_eq!(code(visitor.test_connection(test_of(&made.id, "ada")).await), Code::PermissionDenied);
        for wrong in ["", "conn_", "ca_1", "conn_0123456789012345678901234567890123"] {
            assert!(records.get_connection_health(health(wrong)).await.is_err(), "{wrong}");
            assert!(records.test_connection(test_of(wrong, "ada")).await.is_err(), "{wrong}");
        }
        for wrong in [String::new(), "x".repeat(101)] {
            assert_eq!(code(records.test_connection(test_of(&made.id, &wrong)).await), Code::InvalidArgument);
        }
    }

    /// AK-121: a member deletes a connection with its accounts; an API client does not, nor another environment.
    async fn a_connection_is_deleted_with_its_accounts_by_members(test: TestDb) {
        let world = World::started(&test).await;
        let made = gmail(&world, "mail").await;
        account(&world, "mail", "ada", token()).await;
        let delete = |id: &str| DeleteConnectionWithAccountsRequest { connection_id: id.to_owned() };
        let mut client = world.client(&world.home).connection_extensions();
        assert_eq!(code(client.delete_connection_with_accounts(delete(&made.id)).await), Code::PermissionDenied);
        let mut member = world.member().await.connection_extensions();
        for wrong in ["conn_1", "nonsense"] {
            assert_eq!(refused(member.delete_connection_with_accounts(delete(wrong)).await), "CONNECTION_NOT_FOUND");
        }
        let path = format!("/api/v1/connections/{}", made.id);
        let (status, json) = world.rest("DELETE", &path, &json!(null)).await;
        assert_eq!(status.as_u16(), 400, "without force it is kept: {json}");
        member.delete_connection_with_accounts(delete(&made.id)).await.unwrap();
        let (_, json) = world.rest("GET", &path, &json!(null)).await;
        assert_eq!(json["connection"]["enabled"], false, "{json}");
        assert_eq!(world.kit.work_off().await.unwrap(), 1);
        let (status, _) = world.rest("GET", &path, &json!(null)).await;
        assert_eq!(status.as_u16(), 404);
        let (_, json) = world.rest("GET", "/api/v1/connected_accounts?page_size=20", &json!(null)).await;
        assert_eq!(json["connected_accounts"].as_array().map_or(0, Vec::len), 0, "{json}");
    }

    /// Part of AK-107: without apps of the installation none is named and none is taken.
    async fn an_installation_without_apps_offers_none(test: TestDb) {
        let world = World::started(&test).await;
        let made = gmail(&world, "mail").await;
        let mut extensions = world.client(&world.home).connection_extensions();
        let named = extensions.list_platform_credentials(ListPlatformCredentialsRequest {}).await.unwrap().into_inner();
        assert!(named.provider_keys.is_empty());
        let (status, json) = world.rest("GET", "/api/v1/platform-credentials", &json!(null)).await;
        assert_eq!((status.as_u16(), json["provider_keys"].as_array().map_or(0, Vec::len)), (200, 0));
        let update = json!({"type": "OAUTH", "oauth_config": {"use_platform_creds": true}});
        let path = format!("/api/v1/connections/{}", made.id);
        let (status, json) = world.rest("PATCH", &path, &update).await;
        assert_eq!(status.as_u16(), 400, "{json}");
        assert!(json.to_string().contains("connection.oauth_config.use_platform_creds"), "{json}");
    }

    /// Part of AK-333: over gRPC and REST; never for another environment or a link's visitor.
    async fn missing_scopes_are_told_to_the_environment_alone(test: TestDb) {
        let world = World::started(&test).await;
        gmail(&world, "mail").await;
        let ada = account(&world, "mail", "ada", token()).await;
        let ask = || ListMissingScopesRequest { id: ada.id.clone() };
        let mut records = world.client(&world.home).extensions();
        let answer = records.list_missing_scopes(ask()).await.unwrap().into_inner();
        assert!(answer.missing_scopes.is_empty(), "it is not known which were granted");
        let path = format!("/api/v1/connected_accounts/{}/scopes:missing", ada.id);
        let (status, json) = world.rest("GET", &path, &json!(null)).await;
        assert_eq!((status.as_u16(), json["missing_scopes"].as_array().map_or(0, Vec::len)), (200, 0));
        let mut stranger = world.client(&world.other).extensions();
        assert_eq!(refused(stranger.list_missing_scopes(ask()).await), "CONNECTED_ACCOUNT_NOT_FOUND");
        let mut visitor = world.visitor(&ada.id).await.extensions();
        assert_eq!(code(visitor.list_missing_scopes(ask()).await), Code::PermissionDenied);
    }
}
