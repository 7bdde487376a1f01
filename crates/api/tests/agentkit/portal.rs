//! The visitor of a connect link who calls the API, and methods beyond the contract.

use crate::{
    connections::{connection, gmail},
    fixture::{World, object, refused},
};
use keystead_agentkit::{
    accounts::AccountKey,
    links::{CallbackError, NewLink},
};
use keystead_proto::{
    v1::{
        connected_accounts::{
            AuthorizationDetails, CreateConnectedAccount, CreateConnectedAccountRequest,
            CreateRedirectUrlRequest, DisconnectConnectedAccountRequest,
            GetConnectedAccountRequest, GetRedirectUrlRequest, ScopeSelection, StaticAuth,
            authorization_details::Details,
        },
        connections::{
            ConnectionType, GetConnectionContextRequest, GetEnvironmentConnectionRequest,
            OAuthConnectionConfig, UpdateConnection, UpdateEnvironmentConnectionRequest,
            update_connection::Settings,
        },
        providers::{ListProvidersRequest, list_providers_request},
    },
    wrappers::BoolValue,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{AuthRequestId, Secret};
use serde_json::json;
use url::Url;

/// An account on the connection `mail`, and a link for it.
pub(crate) async fn invited(world: &World, identifier: &str) -> (String, AuthRequestId) {
    invited_to(world, "mail", identifier).await
}

/// As [`invited`], on another connection.
pub(crate) async fn invited_to(
    world: &World,
    connector: &str,
    identifier: &str,
) -> (String, AuthRequestId) {
    let (kit, env) = (&world.kit, world.home.site.environment.id);
    let actor = keystead_identity::Actor::system();
    let key = AccountKey {
        connector: Some(connector.to_owned()),
        identifier: Some(identifier.to_owned()),
        ..AccountKey::default()
    };
    let new = NewLink {
        key,
        ..NewLink::default()
    };
    let made = kit.create_link(env, &actor, new).await.unwrap();
    let url = Url::parse(made.url.expose()).unwrap();
    let part = |name: &str| query(&url, name).unwrap();
    let token = Secret::new(part("token"));
    let link = kit.open_link(env, &token, &part("state")).await.unwrap();
    (made.account.id.to_string(), link.id())
}

fn query(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    pairs
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

async fn let_users_choose(world: &World, id: &str) {
    let config = OAuthConnectionConfig {
        scopes: vec!["read".to_owned(), "write".to_owned(), "admin".to_owned()],
        required_scopes: vec!["read".to_owned()],
        scope_selection_allowed: Some(BoolValue { value: true }),
        ..OAuthConnectionConfig::default()
    };
    let request = UpdateEnvironmentConnectionRequest {
        connection_id: id.to_owned(),
        connection: Some(UpdateConnection {
            settings: Some(Settings::OauthConfig(config)),
            ..UpdateConnection::default()
        }),
    };
    let mut connections = world.client(&world.home).connections();
    connections
        .update_environment_connection(request)
        .await
        .unwrap();
}

fn choice(scopes: &[&str]) -> CreateRedirectUrlRequest {
    CreateRedirectUrlRequest {
        scope_selection: Some(ScopeSelection {
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            optional_scopes: Vec::new(),
        }),
    }
}

on_both_engines! {
    /// AK-306, AK-307, AK-309: the consent URL has the chosen scopes, and its answer is taken from this browser alone.
    async fn a_visitor_gets_his_consent_url(test: TestDb) {
        let world = World::started(&test).await;
        let mail = gmail(&world, "mail").await.id;
        let_users_choose(&world, &mail).await;
        let (account, link) = invited(&world, "ada").await;
        let mut visitor = world.visitor_of(&account, Some(link)).await.accounts();
        let plain = visitor.get_redirect_url(GetRedirectUrlRequest {}).await.unwrap().into_inner();
        let url = Url::parse(&plain.redirect_url).unwrap();
        let asked = |url: &Url, scope: &str| query(url, "scope").unwrap().split(' ').any(|asked| asked == scope);
        assert!(["read", "write", "admin"].iter().all(|scope| asked(&url, scope)), "{url}");
        assert_eq!(query(&url, "code_challenge_method").as_deref(), Some("S256"));

        let chosen = visitor.create_redirect_url(choice(&["write"])).await.unwrap();
        let cookie = chosen.metadata().get("set-cookie").unwrap().to_str().unwrap().to_owned();
        let url = Url::parse(&chosen.into_inner().redirect_url).unwrap();
        assert!(asked(&url, "write") && !asked(&url, "admin"), "{url}");
        assert!(asked(&url, "read"), "what is required is always asked for");
        let outside = visitor.create_redirect_url(choice(&["write", "everything"])).await;
        assert_eq!(refused(outside), "INVALID_ARGUMENT");

        assert!(cookie.ends_with("; Path=/; Max-Age=900; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
        let browser = cookie.split(';').next().unwrap().split_once('=').unwrap();
        assert_eq!(browser.0, format!("__Host-sk_connect-{}", &query(&url, "state").unwrap()[..8]));
        let browser = browser.1.to_owned();
        let answer = format!("error=access_denied&state={}", query(&url, "state").unwrap());
        let (env, id) = (world.home.site.environment.id, mail.parse().unwrap());
        for (browser, expected) in [("another", false), (browser.as_str(), true)] {
            let browser = Secret::new(browser.to_owned());
            let end = world.kit.finish_consent(env, id, Some(&browser), &answer).await.unwrap_err();
            assert_eq!(matches!(end, CallbackError::Denied(_)), expected, "{end:?}");
        }
    }

    /// AK-306, AK-307: no choice where none is offered, no URL without the link that was opened, none for others.
    async fn consent_urls_are_for_visitors_of_a_live_link(test: TestDb) {
        let world = World::started(&test).await;
        gmail(&world, "mail").await;
        let (account, link) = invited(&world, "ada").await;
        let (_, foreign) = invited(&world, "bo").await;
        let mut visitor = world.visitor_of(&account, Some(link)).await.accounts();
        assert_eq!(refused(visitor.create_redirect_url(choice(&["https://mail.google.com/"])).await), "INVALID_ARGUMENT");
        for opened in [None, Some(foreign)] {
            let mut visitor = world.visitor_of(&account, opened).await.accounts();
            assert_eq!(refused(visitor.get_redirect_url(GetRedirectUrlRequest {}).await), "AUTH_REQUEST_NOT_FOUND");
        }
        let mut client = world.client(&world.home).accounts();
        assert_eq!(refused(client.get_redirect_url(GetRedirectUrlRequest {}).await), "PERMISSION_DENIED");
        let shown = visitor.get_connected_account(GetConnectedAccountRequest { id: String::new() }).await.unwrap().into_inner();
        assert_eq!(shown.connected_account.unwrap().id, account);
        // AK-214: who disconnects ends his link.
        visitor.disconnect_connected_account(DisconnectConnectedAccountRequest { id: String::new() }).await.unwrap();
        assert_eq!(refused(visitor.get_redirect_url(GetRedirectUrlRequest {}).await), "AUTH_REQUEST_NOT_FOUND");
    }

    /// AK-306, part of AK-206: a visitor sees what his account needs, not what else the developer uses.
    async fn a_visitor_sees_his_connector_and_connection_only(test: TestDb) {
        let world = World::started(&test).await;
        let mail = gmail(&world, "mail").await.id;
        let desk = connection(&world, "FRESHDESK", ConnectionType::Basic, "desk").await.id;
        let (account, link) = invited(&world, "ada").await;
        let visitor = world.visitor_of(&account, Some(link)).await;
        let all = list_providers_request::Filter { provider_type: 2 };
        for identifier in ["", "GMAIL", "FRESHDESK"] {
            let request = ListProvidersRequest { identifier: identifier.to_owned(), filter: Some(all), ..ListProvidersRequest::default() };
            let seen = visitor.providers().list_providers(request).await.unwrap().into_inner();
            let names: Vec<_> = seen.providers.iter().map(|provider| provider.identifier.as_str()).collect();
            assert_eq!((names.as_slice(), seen.total_size), (&["GMAIL"][..], 1), "{identifier}");
        }
        let get = |id: &str| GetEnvironmentConnectionRequest { connection_id: id.to_owned() };
        assert!(visitor.connections().get_environment_connection(get(&mail)).await.is_ok());
        assert_eq!(refused(visitor.connections().get_environment_connection(get(&desk)).await), "CONNECTION_NOT_FOUND");
        let context = GetConnectionContextRequest { connection_id: mail, ..GetConnectionContextRequest::default() };
        assert_eq!(refused(visitor.connections().get_connection_context(context).await), "PERMISSION_DENIED");
    }

    /// AK-225: the way to a refresh, and who is refused there.
    async fn refreshing_is_for_known_accounts_with_something_to_refresh(test: TestDb) {
        let world = World::started(&test).await;
        connection(&world, "FRESHDESK", ConnectionType::Basic, "desk").await;
        let credential = json!({ "domain": "a.freshdesk.com", "username": "k", "password": "X" });
        let request = CreateConnectedAccountRequest {
            connector: Some("desk".to_owned()),
            identifier: Some("ada".to_owned()),
            connected_account: Some(CreateConnectedAccount {
                authorization_details: Some(AuthorizationDetails {
                    details: Some(Details::StaticAuth(StaticAuth { details: Some(object(credential)) })),
                }),
                api_config: None,
            }),
            ..CreateConnectedAccountRequest::default()
        };
        let mut accounts = world.client(&world.home).accounts();
        let account = accounts.create_connected_account(request).await.unwrap().into_inner().connected_account.unwrap().id;
        let (status, json) = world.rest("POST", &format!("/api/v1/connected_accounts/{account}:refresh"), &json!({})).await;
        assert_eq!((status.as_u16(), &json["details"][0]["error_code"]), (400, &json!("FAILED_PRECONDITION")), "{json}");
        let (status, json) = world.rest("POST", "/api/v1/connected_accounts/ca_1:refresh", &json!({})).await;
        assert_eq!((status.as_u16(), &json["details"][0]["error_code"]), (404, &json!("CONNECTED_ACCOUNT_NOT_FOUND")), "{json}");
        let request = keystead_proto::extensions::RefreshConnectedAccountRequest { id: account.clone() };
        let foreign = world.client(&world.other).extensions().refresh_connected_account(request.clone()).await;
        assert_eq!(refused(foreign), "CONNECTED_ACCOUNT_NOT_FOUND");
        let visitor = world.visitor(&account).await.extensions().refresh_connected_account(request).await;
        assert_eq!(refused(visitor), "PERMISSION_DENIED");
    }

    /// AK-123: rows and connections name the address of their tools.
    async fn connections_name_their_virtual_mcp_server(test: TestDb) {
        let world = World::started(&test).await;
        let made = connection(&world, "FRESHDESK", ConnectionType::Basic, "the desk").await;
        let expected = format!("{}/mcp/v3/connections/the%20desk", world.home.site.base_url.trim_end_matches('/'));
        assert_eq!(made.mcp_server_url.as_deref(), Some(expected.as_str()));
        assert_eq!(made.provider_key, "FRESHDESK");
        let (_, json) = world.rest("GET", "/api/v1/connections/app", &json!(null)).await;
        let row = &json["connections"][0];
        let shown = ["id", "type", "status", "enabled", "provider_key", "key_id", "mcp_server_url", "auth_mode"].map(|name| row[name].clone());
        assert_eq!(
            shown,
            [json!(made.id), json!("BASIC"), json!("COMPLETED"), json!(true), json!("FRESHDESK"), json!("the desk"), json!(expected), json!("USER")]
        );
        assert!(row["created_at"].is_string());
    }
}
