//! What the dashboard's tests begin with: two environments, a few connectors, connections,
//! accounts and a client.

use crate::services::World;
use keystead_proto::{
    extensions::ConnectedAccountHistoryEntry,
    v1::{
        clients::{Client, ClientSecret},
        commons::EnvironmentType,
        connected_accounts::{
            AuthorizationDetails, ConnectedAccount, OauthToken, authorization_details::Details,
        },
        connections::{Connection, ConnectionType, OAuthConnectionConfig, connection::Settings},
        environments::Environment,
        providers::Provider,
    },
    wrappers::StringValue,
};
use prost_types::{ListValue, Struct, Timestamp, Value, value::Kind};
use serde_json::{Value as Json, json};
use std::sync::Arc;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp {
        seconds: 1_790_000_000 + seconds,
        nanos: 0,
    }
}

pub(crate) fn value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(flag) => Kind::BoolValue(*flag),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(value).collect(),
        }),
        Json::Object(fields) => Kind::StructValue(Struct {
            fields: fields.iter().map(|(k, v)| (k.clone(), value(v))).collect(),
        }),
    };
    Value { kind: Some(kind) }
}

pub(crate) fn provider(
    identifier: &str,
    name: &str,
    about: &str,
    categories: &[&str],
    patterns: &[Json],
) -> Provider {
    Provider {
        identifier: identifier.to_owned(),
        display_name: name.to_owned(),
        description: about.to_owned(),
        categories: categories.iter().map(|&text| text.to_owned()).collect(),
        auth_patterns: Some(ListValue {
            values: patterns.iter().map(value).collect(),
        }),
        proxy_url: format!("https://api.{}.test", identifier.to_lowercase()),
        proxy_enabled: true,
        is_custom: identifier.contains(':'),
        ..Default::default()
    }
}

pub(crate) fn oauth(scopes: &[&str]) -> Json {
    let scopes: Vec<Json> = scopes
        .iter()
        .map(|scope| json!({"scope": scope, "display_name": scope}))
        .collect();
    json!({"type": "OAUTH", "display_name": "OAuth 2.0", "fields": [],
        "oauth_config": {"authorize_uri": "https://a.test/authorize", "token_uri": "https://a.test/token", "available_scopes": scopes, "pkce_enabled": true}})
}

fn key(kind: &str, field: &str) -> Json {
    json!({"type": kind, "display_name": "", "fields": [
        {"field_name": field, "label": "API key", "input_type": "password", "hint": "Profile settings, then View API key", "required": true}]})
}

pub(crate) fn connection(
    id: &str,
    name: &str,
    provider: &str,
    kind: ConnectionType,
    status: i32,
    enabled: bool,
) -> Connection {
    Connection {
        id: id.to_owned(),
        key_id: Some(name.to_owned()),
        provider_key: provider.to_owned(),
        r#type: kind.into(),
        status,
        enabled,
        create_time: Some(at(0)),
        update_time: Some(at(3_600)),
        ..Default::default()
    }
}

pub(crate) fn account(
    id: &str,
    identifier: &str,
    provider: &str,
    connector: &str,
    status: i32,
) -> ConnectedAccount {
    ConnectedAccount {
        id: id.to_owned(),
        identifier: identifier.to_owned(),
        provider: provider.to_owned(),
        connector: connector.to_owned(),
        connection_id: "conn_1".to_owned(),
        status,
        authorization_type: 1,
        token_expires_at: if status == 1 { Some(at(3_600)) } else { None },
        last_used_at: if status == 1 { Some(at(-600)) } else { None },
        updated_at: Some(at(-60)),
        authorization_details: Some(AuthorizationDetails {
            details: Some(Details::OauthToken(OauthToken {
                scopes: vec!["gmail.readonly".to_owned(), "gmail.send".to_owned()],
                ..Default::default()
            })),
        }),
        ..Default::default()
    }
}

pub(crate) fn environment(
    id: &str,
    name: &str,
    domain: &str,
    kind: EnvironmentType,
) -> Environment {
    Environment {
        id: id.to_owned(),
        display_name: name.to_owned(),
        domain: domain.to_owned(),
        r#type: kind.into(),
        create_time: Some(at(0)),
        ..Default::default()
    }
}

pub(crate) fn full() -> Arc<World> {
    let world = World::default();
    *world.environments.lock().unwrap() = vec![
        environment("env_1", "Development", "dev.test", EnvironmentType::Dev),
        environment("env_2", "Production", "prod.test", EnvironmentType::Prd),
    ];
    let everywhere = |provider| (String::new(), provider);
    *world.providers.lock().unwrap() = vec![
        everywhere(provider(
            "GMAIL",
            "Gmail",
            "Read, search and send mail of a Google account.",
            &["Communication"],
            &[oauth(&["gmail.readonly", "gmail.send"])],
        )),
        everywhere(provider(
            "SLACK",
            "Slack",
            "Post messages, read channels and look up people.",
            &["Communication", "Collaboration"],
            &[oauth(&["chat:write"])],
        )),
        everywhere(provider(
            "FRESHDESK",
            "Freshdesk",
            "Answer and manage support tickets.",
            &["Customer Support"],
            &[key("BASIC", "api_key")],
        )),
        everywhere(provider(
            "GITHUB",
            "GitHub",
            "Work with repositories, issues and pull requests.",
            &["Developer Tools"],
            &[oauth(&["repo"]), key("BEARER", "token")],
        )),
        everywhere(provider(
            "NOTION",
            "Notion",
            "Search, read and write pages and databases.",
            &["Productivity"],
            &[oauth(&[])],
        )),
        everywhere(provider(
            "DATADOG",
            "Datadog",
            "Query metrics, logs and monitors.",
            &["Monitoring", "Developer Tools"],
            &[key("API_KEY", "api_key")],
        )),
        everywhere(provider(
            "LINEAR",
            "Linear",
            "Create, search and update issues and projects.",
            &["Project Management"],
            &[oauth(&["read", "write"])],
        )),
        (
            "dev.test".to_owned(),
            provider(
                "ORDERS:7",
                "Orders",
                "Look up orders in our own shop.",
                &[],
                &[key("API_KEY", "api_key")],
            ),
        ),
    ];
    let mut gmail = connection("conn_1", "gmail", "GMAIL", ConnectionType::Oauth, 3, true);
    gmail.mcp_server_url = Some("https://dev.test/mcp/v3/connections/gmail".to_owned());
    gmail.settings = Some(Settings::OauthConfig(OAuthConnectionConfig {
        client_id: Some(StringValue {
            value: "1234.apps.test".to_owned(),
        }),
        client_secret: Some(StringValue {
            value: "canary-provider-secret".to_owned(),
        }),
        scopes: vec!["gmail.readonly".to_owned(), "gmail.send".to_owned()],
        redirect_uri: "https://dev.test/sso/v1/oauth/conn_1/callback".to_owned(),
        ..Default::default()
    }));
    let mut slack = connection(
        "conn_2",
        "slack-support",
        "SLACK",
        ConnectionType::Oauth,
        1,
        false,
    );
    slack.settings = Some(Settings::OauthConfig(OAuthConnectionConfig {
        redirect_uri: "https://dev.test/sso/v1/oauth/conn_2/callback".to_owned(),
        ..Default::default()
    }));
    *world.connections.lock().unwrap() = vec![
        gmail,
        slack,
        connection(
            "conn_3",
            "freshdesk",
            "FRESHDESK",
            ConnectionType::Basic,
            3,
            true,
        ),
    ];
    *world.accounts.lock().unwrap() = vec![
        account("ca_1", "ada@example.com", "GMAIL", "gmail", 1),
        account("ca_2", "grace@example.com", "GMAIL", "gmail", 2),
        account("ca_3", "user_8123", "SLACK", "slack-support", 3),
        account("ca_4", "linus@example.com", "GMAIL", "gmail", 5),
    ];
    let event = |account: &str, kind: &str, detail: &str, seconds| {
        let entry = ConnectedAccountHistoryEntry {
            id: format!("evt_{seconds}"),
            kind: format!("connected_account.{kind}"),
            detail: detail.to_owned(),
            occurred_at: Some(at(seconds)),
        };
        (account.to_owned(), entry)
    };
    *world.history.lock().unwrap() = vec![
        event("ca_1", "token_refresh_succeeded", "", -600),
        event("ca_1", "oauth_tokens_fetched", "", -4_200),
        event("ca_1", "status_updated", "PENDING_AUTH → ACTIVE", -4_200),
        event("ca_1", "created", "", -7_200),
        event("ca_2", "status_updated", "ACTIVE → EXPIRED", -60),
        event(
            "ca_2",
            "token_refresh_failed",
            "the provider answered invalid_grant",
            -60,
        ),
    ];
    *world.clients.lock().unwrap() = vec![Client {
        id: "skc_1".to_owned(),
        name: "Default".to_owned(),
        client_type: "ENV".to_owned(),
        create_time: Some(at(0)),
        secrets: vec![ClientSecret {
            id: "sks_1".to_owned(),
            secret_suffix: "a1b2".to_owned(),
            create_time: Some(at(0)),
            last_used_time: Some(at(7_200)),
            ..Default::default()
        }],
        ..Default::default()
    }];
    Arc::new(world)
}
