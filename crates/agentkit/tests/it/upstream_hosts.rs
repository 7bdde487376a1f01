//! Calls to another host of the provider.

use crate::fixture::{Answer, App, call, object, of_user, provider_input, send};
use http::{HeaderValue, Method};
use keystead_agentkit::{
    accounts::NewAccount,
    proxy::{ProxyCall, ProxyError},
};
use keystead_net::Policy;
use keystead_sandbox::STATIC_TOKEN;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ConnectedAccountId, ErrorCode};
use serde_json::{Value, json};

/// An account whose provider has its base at `127.0.0.1` and another host, `localhost`.
async fn account(app: &App, context: Value) -> ConnectedAccountId {
    let pattern = json!({
        "type": "BEARER", "fields": [{"field_name": "token", "required": true}],
        "allowed_proxy_domains": ["127.0.0.1", "localhost", "*.files.test"],
    });
    let input = provider_input("Files", &pattern, &app.upstream.url("/nothing/here"));
    let provider = app
        .kit
        .create_custom_provider(app.env, &app.actor, input)
        .await;
    app.connection_of(&provider.unwrap(), "files", context)
        .await;
    let new = NewAccount {
        credential: keystead_agentkit::accounts::CredentialInput::Static(object(
            json!({"token": STATIC_TOKEN}),
        )),
        ..of_user("ada")
    };
    app.account("files", new).await.account.id
}

fn at(host: &str, id: ConnectedAccountId, path: &str) -> ProxyCall {
    ProxyCall {
        upstream: Some(host.to_owned()),
        ..call(id, Method::GET, path)
    }
}

fn refusal(result: Result<Answer, ProxyError>) -> (u16, ErrorCode) {
    let error = result.unwrap_err();
    (error.http_status(), error.reason().code())
}

const REFUSED: (u16, ErrorCode) = (403, ErrorCode::TargetNotAllowed);
const ECHO: &str = "/sandbox/provider/api/echo/x";

on_both_engines! {
    /// Part of AK-461, part of AK-112: the base's own host is no other one, so that its path still holds, and
    /// what the account narrows.
    async fn naming_the_own_host_leads_nowhere_else(test: TestDb) {
        let app = App::started(&test).await;
        let id = account(&app, json!({})).await;
        let answer = app.send(at("127.0.0.1", id, ECHO)).await.unwrap();
        assert_eq!(answer.status, 404, "below /nothing/here");
        for odd in [json!(5), json!({}), json!(["https://files.test"])] {
            let patch = keystead_agentkit::accounts::AccountPatch {
                api_config: object(json!({"base_url": odd})),
                ..keystead_agentkit::accounts::AccountPatch::default()
            };
            app.kit.update_account(app.env, &app.actor, crate::fixture::by_id(id), patch).await.unwrap();
            assert_eq!(refusal(app.send(call(id, Method::GET, "/x")).await), REFUSED, "{odd}");
        }
    }

    /// AK-461: the call goes to the root of the other host with the credential; the header stays here.
    async fn a_call_goes_to_the_host_that_is_named(test: TestDb) {
        let app = App::started(&test).await;
        let id = account(&app, json!({})).await;
        let mut named = at("localhost", id, ECHO);
        named.headers.insert("x-upstream", HeaderValue::from_static("localhost"));
        named.query = Some("a=1".to_owned());
        let echo = app.send(named).await.unwrap().json();
        assert_eq!(echo["headers"]["host"][0], format!("localhost:{}", app.upstream.port()));
        assert!(echo["headers"]["authorization"][0].as_str().unwrap().starts_with("Bearer "), "{echo}");
        assert!(echo["headers"].get("x-upstream").is_none(), "{echo}");
        // Without the header it goes to the base, where there is nothing.
        assert_eq!(app.send(call(id, Method::GET, ECHO)).await.unwrap().status, 404);
    }

    /// AK-461, part of AK-472
    async fn no_other_host_and_no_path_out_of_it(test: TestDb) {
        let app = App::started(&test).await;
        let id = account(&app, json!({})).await;
        for host in ["evil.test", "", "*.files.test", "a.files.test", "localhost.", "localhost:1", "localhost/x", "u@localhost"] {
            assert_eq!(refusal(app.send(at(host, id, ECHO)).await), REFUSED, "{host}");
        }
        for path in ["//evil.test/x", "/../x", "/%2e%2e/x", "/a\\b", "/a#b"] {
            assert_eq!(refusal(app.send(at("localhost", id, path)).await), REFUSED, "{path}");
        }
        // Without a slash in front they would be part of the host.
        for path in ["@evil.test/", ":1@evil.test/", ".evil.test/"] {
            assert_eq!(app.send(at("localhost", id, path)).await.unwrap().status, 404, "{path}");
        }
        assert_eq!(app.upstream.counter("api_calls").await, 0);
    }

    /// AK-461, part of AK-470: the guard judges the other host too.
    async fn the_guard_holds_for_the_other_host(test: TestDb) {
        let app = App::started(&test).await;
        let id = account(&app, json!({})).await;
        let strict = Policy { allow_http: true, ..Policy::default() };
        let strict = app.node_with(test.db.clone(), 9, strict);
        assert_eq!(refusal(send(&strict, app.env, at("localhost", id, ECHO)).await), REFUSED);
        assert_eq!(app.upstream.counter("api_calls").await, 0);
    }

    /// AK-460, AK-461: rules for the usual host do not open the other one.
    async fn rules_name_the_other_host(test: TestDb) {
        let app = App::started(&test).await;
        let rules = json!(["* /*", "* /sandbox/*", "GET //localhost/sandbox/provider/api/echo/*"]);
        let id = account(&app, json!({ "proxy_allow": rules })).await;
        assert_eq!(app.send(at("localhost", id, ECHO)).await.unwrap().status, 200);
        assert_eq!(refusal(app.send(at("localhost", id, "/sandbox/provider/api/me")).await), REFUSED);
        let written = ProxyCall { method: Method::POST, ..at("localhost", id, ECHO) };
        assert_eq!(refusal(app.send(written).await), REFUSED);
    }
}
