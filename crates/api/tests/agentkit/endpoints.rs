//! The endpoints beside the contract: what the token endpoint and the proxy refuse.

use crate::fixture::World;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use keystead_agentkit::{
    accounts::{CredentialInput, NewAccount},
    connections::{AuthMode, NewConnection},
    providers::CustomProviderInput,
};
use keystead_authz::MAX_TOKEN_REQUEST_BYTES;
use keystead_gateway::Endpoints;
use keystead_identity::Actor;
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};
use tonic::body::Body;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    json: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Sends a request to the environment at home.
async fn send(world: &World, mut request: Request<Bytes>) -> Answer {
    let host = world.home.site.base_url.trim_start_matches("https://");
    let host = host.parse().unwrap();
    request.headers_mut().insert(header::HOST, host);
    let endpoints = Endpoints::new(Arc::new(world.authorizer.clone()), world.kit.clone());
    let request = request.map(|body| Body::new(Full::new(body)));
    let (parts, body) = endpoints.answer(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        json: serde_json::from_slice(&body).unwrap(),
    }
}

/// A call of the API client through the proxy, with these headers.
async fn proxied(world: &World, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {}", world.home.token.expose());
    let request = Request::get("/proxy/me").header(header::AUTHORIZATION, bearer);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    send(world, request.body(Bytes::new()).unwrap()).await
}

/// An active account of `ada` on a connection named `desk` with these free settings. Its provider
/// is not reachable.
async fn account(world: &World, context: Value) -> String {
    let (kit, env, actor) = (&world.kit, world.home.site.environment.id, Actor::system());
    let provider = CustomProviderInput {
        display_name: "Desk".to_owned(),
        description: String::new(),
        auth_patterns: json!([{"type": "BEARER", "fields": [{"field_name": "token"}]}]),
        proxy_url: "https://desk.invalid".to_owned(),
        proxy_enabled: true,
        icon_src: String::new(),
        metadata: BTreeMap::new(),
    };
    let provider = kit.create_custom_provider(env, &actor, provider).await;
    let connection = NewConnection {
        provider_key: provider.unwrap().identifier,
        kind: None,
        key_id: Some("desk".to_owned()),
        context: context.as_object().unwrap().clone(),
        auth_mode: AuthMode::User,
    };
    let connection = kit.create_connection(env, &actor, connection).await;
    connection.unwrap();
    let token = json!({"token": "t0ken"});
    let new = NewAccount {
        connector: "desk".to_owned(),
        identifier: "ada".to_owned(),
        credential: CredentialInput::Static(token.as_object().unwrap().clone()),
        ..NewAccount::default()
    };
    let made = kit.create_account(env, &actor, new).await.unwrap();
    made.account.id.to_string()
}

const ADA: [(&str, &str); 2] = [("connection_name", "desk"), ("identifier", "ada")];

on_both_engines! {
    /// Part of MC-162: a body that is too long is told apart from one that cannot be read.
    async fn a_long_token_request_is_413(test: TestDb) {
        let world = World::started(&test).await;
        for (length, status) in [(MAX_TOKEN_REQUEST_BYTES, 400), (MAX_TOKEN_REQUEST_BYTES + 1, 413)] {
            let request = Request::post("/oauth/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            let answer = send(&world, request.body(Bytes::from(vec![b'a'; length])).unwrap()).await;
            assert_eq!((answer.status.as_u16(), &answer.json["error"]), (status, &json!("invalid_request")), "{length}");
        }
    }

    /// 4.1, part of AK-450: a call that names no account.
    async fn a_proxied_call_without_an_address_says_what_to_send(test: TestDb) {
        let world = World::started(&test).await;
        let nameless = proxied(&world, &ADA[..1]).await;
        assert_eq!((nameless.status.as_u16(), nameless.header("x-scalekit-source")), (400, Some("platform")));
        let text = nameless.json["message"].as_str().unwrap();
        assert!(text.starts_with("connected account id or connector and identifier required"), "{text}");
        assert_eq!(nameless.header("x-scalekit-execution-id"), None, "nothing was logged");
        let unknown = proxied(&world, &ADA).await;
        assert_eq!((unknown.status.as_u16(), unknown.header("x-scalekit-execution-id")), (404, None));
    }

    /// AK-461: the host of a call is named once, and is one of the provider's.
    async fn a_proxied_call_to_a_host_off_the_list_is_refused(test: TestDb) {
        let world = World::started(&test).await;
        account(&world, json!({})).await;
        let [connection, user] = ADA;
        let off = proxied(&world, &[connection, user, ("x-upstream", "upload")]).await;
        assert_eq!(off.status.as_u16(), 403, "{}", off.json);
        let text = off.json["message"].as_str().unwrap();
        assert!(text.contains("`upload` is none of the provider's hosts"), "{text}");
        let twice = proxied(&world, &[connection, user, ("x-upstream", "a"), ("x-upstream", "b")]).await;
        assert_eq!(twice.status.as_u16(), 400, "{}", twice.json);
    }

    /// 4.1: whoever lacks the permission learns which one it is.
    async fn a_proxied_call_without_permission_names_it(test: TestDb) {
        let world = World::started(&test).await;
        let id = account(&world, json!({})).await;
        let (name, cookie) = world.visitor(&id).await.credential();
        let request = Request::get("/proxy/me").header(name, cookie).header("sec-fetch-site", "same-origin");
        let denied = send(&world, request.body(Bytes::new()).unwrap()).await;
        assert_eq!((denied.status.as_u16(), denied.header("x-scalekit-source")), (403, Some("platform")));
        let needed = &denied.json["details"][0]["resource_info"]["required_permissions"];
        assert_eq!(needed, &json!(["agent_connectors:execute"]), "{}", denied.json);
    }

    /// Addresses of MCP are in answers already; a client there gets the API's error, and no page.
    async fn mcp_is_not_built_yet(test: TestDb) {
        let world = World::started(&test).await;
        for path in ["/mcp", "/mcp/v3/connections/desk"] {
            let answer = send(&world, Request::post(path).body(Bytes::new()).unwrap()).await;
            let code = &answer.json["details"][0]["error_code"];
            assert_eq!((answer.status.as_u16(), code.as_str()), (501, Some("UNIMPLEMENTED")), "{path}");
        }
    }

    /// AK-454, AK-114: a refusal of a named account is in the log, and says when to come back.
    async fn a_refused_call_is_found_in_the_log(test: TestDb) {
        let world = World::started(&test).await;
        let limits = json!({"rate_limiting": {"requests_per_minute": 1, "burst_limit": 1}});
        let id = account(&world, limits).await;
        let unreachable = proxied(&world, &ADA).await;
        assert_eq!(unreachable.status.as_u16(), 502, "{}", unreachable.json);
        let limited = proxied(&world, &ADA).await;
        assert_eq!(limited.status.as_u16(), 429, "{}", limited.json);
        let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
        assert!((30..=58).contains(&wait), "a minute without the time in the queue: {wait}");
        world.kit.write_calls(async {}).await;
        let env = world.home.site.environment.id;
        let rows = world.kit.account_calls(env, id.parse().unwrap(), 10).await.unwrap();
        let mut logged: Vec<String> = rows.iter().map(|row| row.execution_id.to_string()).collect();
        let mut told = [unreachable, limited].map(|answer| answer.header("x-scalekit-execution-id").unwrap().to_owned());
        logged.sort();
        told.sort();
        assert_eq!(logged, told);
    }
}
