use crate::{
    connections::{connection, gmail},
    fixture::{World, object, refused},
};
use keystead_proto::{
    extensions::{ListConnectedAccountHistoryRequest, RefreshConnectedAccountRequest},
    v1::{
        connected_accounts::{
            AuthorizationDetails, ConnectedAccount, ConnectorStatus, CreateConnectedAccount,
            CreateConnectedAccountRequest, DisconnectConnectedAccountRequest,
            ListConnectedAccountsRequest, OauthToken, StaticAuth, authorization_details::Details,
        },
        connections::ConnectionType,
    },
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::json;
use tonic::Code;

pub(crate) async fn account(
    world: &World,
    connector: &str,
    identifier: &str,
    details: Option<Details>,
) -> ConnectedAccount {
    let request = CreateConnectedAccountRequest {
        connector: Some(connector.to_owned()),
        identifier: Some(identifier.to_owned()),
        connected_account: Some(CreateConnectedAccount {
            authorization_details: details.map(|details| AuthorizationDetails {
                details: Some(details),
            }),
            api_config: None,
        }),
        ..CreateConnectedAccountRequest::default()
    };
    let mut accounts = world.client(&world.home).accounts();
    let made = accounts.create_connected_account(request).await.unwrap();
    made.into_inner().connected_account.unwrap()
}

pub(crate) fn token() -> Option<Details> {
    Some(Details::OauthToken(OauthToken {
        access_token: "s3cr3t-access".to_owned(),
        ..OauthToken::default()
    }))
}

fn history(id: &str) -> ListConnectedAccountHistoryRequest {
    ListConnectedAccountHistoryRequest {
        id: id.to_owned(),
        page_size: 0,
    }
}

on_both_engines! {
    /// Part of AK-219: newest first, over gRPC and REST; never for another environment or a link's visitor.
    async fn the_history_of_an_account_says_what_happened(test: TestDb) {
        let world = World::started(&test).await;
        gmail(&world, "mail").await;
        let made = account(&world, "mail", "ada", token()).await;
        let disconnect = DisconnectConnectedAccountRequest { id: made.id.clone() };
        world.client(&world.home).accounts().disconnect_connected_account(disconnect).await.unwrap();

        let mut records = world.client(&world.home).extensions();
        let entries = records.list_connected_account_history(history(&made.id)).await.unwrap().into_inner().entries;
        let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
        assert_eq!(kinds, ["connected_account.status_updated", "connected_account.created"]);
        assert_eq!(entries[0].detail, "ACTIVE → DISCONNECTED");
        assert!(entries.iter().all(|entry| entry.id.starts_with("evt_") && entry.occurred_at.is_some()));
        let one = ListConnectedAccountHistoryRequest { page_size: 1, ..history(&made.id) };
        assert_eq!(records.list_connected_account_history(one).await.unwrap().into_inner().entries.len(), 1);
        assert!(!format!("{entries:?}").contains("s3cr3t"));
        let path = format!("/api/v1/connected_accounts/{}/history?page_size=1", made.id);
        let (status, json) = world.rest("GET", &path, &json!(null)).await;
        assert_eq!((status.as_u16(), &json["entries"][0]["kind"]), (200, &json!("connected_account.status_updated")));

        let mut stranger = world.client(&world.other).extensions();
        assert_eq!(refused(stranger.list_connected_account_history(history(&made.id)).await), "CONNECTED_ACCOUNT_NOT_FOUND");
        let mut visitor = world.visitor(&made.id).await.extensions();
        assert_eq!(visitor.list_connected_account_history(history(&made.id)).await.unwrap_err().code(), Code::PermissionDenied);
        for wrong in ["", "ca_", "conn_1", "ca_0123456789012345678901234567890123"] {
            assert!(records.list_connected_account_history(history(wrong)).await.is_err(), "{wrong}");
        }
        let many = ListConnectedAccountHistoryRequest { page_size: 101, ..history(&made.id) };
        assert_eq!(records.list_connected_account_history(many).await.unwrap_err().code(), Code::InvalidArgument);
    }

    /// AK-209. Part of AK-219
    async fn accounts_are_listed_by_their_state(test: TestDb) {
        let world = World::started(&test).await;
        gmail(&world, "mail").await;
        account(&world, "mail", "ada", token()).await;
        account(&world, "mail", "grace", None).await;
        let mut accounts = world.client(&world.home).accounts();
        for (state, found) in [
            (ConnectorStatus::Active, vec!["ada"]),
            (ConnectorStatus::PendingAuth, vec!["grace"]),
            (ConnectorStatus::Expired, vec![]),
            (ConnectorStatus::ConnectionStatusUnspecified, vec!["grace", "ada"]),
        ] {
            let request = ListConnectedAccountsRequest { status: state.into(), ..Default::default() };
            let listed = accounts.list_connected_accounts(request).await.unwrap().into_inner();
            let names: Vec<String> = listed.connected_accounts.into_iter().map(|row| row.identifier).collect();
            assert_eq!(names, found);
            assert_eq!(listed.total_size, u32::try_from(found.len()).unwrap());
        }
        let unknown = ListConnectedAccountsRequest { status: 99, ..Default::default() };
        assert_eq!(accounts.list_connected_accounts(unknown).await.unwrap_err().code(), Code::InvalidArgument);
    }

    /// Part of AK-225: what cannot be refreshed says so; strangers learn nothing.
    async fn an_account_without_a_refresh_token_is_not_refreshed(test: TestDb) {
        let world = World::started(&test).await;
        connection(&world, "FRESHDESK", ConnectionType::Basic, "desk").await;
        let credential = Details::StaticAuth(StaticAuth {
            details: Some(object(json!({ "username": "s3cr3t", "domain": "acme.freshdesk.com" }))),
        });
        let made = account(&world, "desk", "ada", Some(credential)).await;
        let ask = || RefreshConnectedAccountRequest { id: made.id.clone() };
        let refused_it = world.client(&world.home).extensions().refresh_connected_account(ask()).await.unwrap_err();
        assert_eq!(refused_it.code(), Code::FailedPrecondition, "{refused_it:?}");
        let path = format!("/api/v1/connected_accounts/{}:refresh", made.id);
        assert_eq!(world.rest("POST", &path, &json!({})).await.0.as_u16(), 400);
        let mut stranger = world.client(&world.other).extensions();
        assert_eq!(refused(stranger.refresh_connected_account(ask()).await), "CONNECTED_ACCOUNT_NOT_FOUND");
        let mut visitor = world.visitor(&made.id).await.extensions();
        assert_eq!(visitor.refresh_connected_account(ask()).await.unwrap_err().code(), Code::PermissionDenied);
    }
}
