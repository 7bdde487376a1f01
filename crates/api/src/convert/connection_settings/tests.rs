use super::*;
use keystead_agentkit::connections::ConnectionSecrets;
use keystead_agentkit::connections::{AuthMode, ConnectionStatus};
use keystead_types::{ConnectionId, Id, Timestamp};
use serde_json::json;

fn connection(kind: AuthKind) -> Connection {
    Connection {
        id: ConnectionId::from_number(1),
        key_id: "acme".to_owned(),
        provider_key: "ACME".to_owned(),
        kind,
        status: ConnectionStatus::Draft,
        enabled: false,
        auth_mode: AuthMode::User,
        settings: ConnectionSettings::default(),
        secrets: ConnectionSecrets::default(),
        revision: 1,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}

fn full_oauth() -> Connection {
    let mut made = connection(AuthKind::Oauth);
    let text = |value: &str| Some(value.to_owned());
    let list = |value: &str| vec![value.to_owned()];
    made.settings = ConnectionSettings {
        authorize_uri: text("https://a.test/authorize"),
        token_uri: text("https://a.test/token"),
        user_info_uri: text("https://a.test/me"),
        client_id: text("id"),
        scopes: list("read"),
        pkce_enabled: Some(false),
        prompt: text("consent"),
        access_type: text("offline"),
        token_access_type: text("offline"),
        tenant_id: text("tenant"),
        custom_scope_name: text("user_scope"),
        optional_scopes: Some(OptionalScopes {
            scopes: list("write"),
            field_name: "optional_scope".to_owned(),
        }),
        extra_authorize_params: [("audience".to_owned(), "api".to_owned())].into(),
        token_endpoint_auth_method: text("client_secret_basic"),
        app_name: text("Agent"),
        scope_selection_allowed: true,
        required_scopes: list("read"),
        required_optional_scopes: list("write"),
        smart: Some(SmartSettings {
            aud: "https://fhir.test".to_owned(),
            domain: "fhir.test".to_owned(),
        }),
        ..ConnectionSettings::default()
    };
    made.secrets.client_secret = "s3cr3t-client".to_owned();
    made.secrets.developer_token = "s3cr3t-developer".to_owned();
    made
}

/// What was read, sent back as an update.
fn sent_back(current: &Connection) -> pb::UpdateConnection {
    let settings = match settings(current, "https://env.test/callback".to_owned()) {
        Shown::OauthConfig(config) => Sent::OauthConfig(config),
        Shown::GoogleDwdConfig(config) => Sent::GoogleDwdConfig(config),
        Shown::StaticConfig(config) => Sent::StaticConfig(config),
        other => panic!("not settings of a connector: {other:?}"),
    };
    pb::UpdateConnection {
        r#type: kind_number(current.kind),
        provider_key: current.provider_key.clone(),
        settings: Some(settings),
        ..pb::UpdateConnection::default()
    }
}

/// Part of AK-105, part of AK-125: reading and writing back changes nothing, masked secrets included.
#[test]
fn settings_round_trip() {
    let mut delegated = connection(AuthKind::GoogleDwd);
    delegated.settings.google_dwd = Some(GoogleDwdSettings {
        scopes: vec!["mail".to_owned()],
        token_uri: Some("https://g.test/token".to_owned()),
        scope_selection_allowed: true,
        required_scopes: vec!["mail".to_owned()],
    });
    delegated.secrets.service_account_json = "s3cr3t-account".to_owned();
    let mut fixed = connection(AuthKind::ApiKey);
    fixed.settings.static_config = json!({ "timeout": 20, "base_headers": { "X-App": "acme" } })
        .as_object()
        .unwrap()
        .clone();
    for current in [
        full_oauth(),
        delegated,
        fixed,
        connection(AuthKind::TrelloOauth1),
    ] {
        let patch = update(sent_back(&current), &current, None).unwrap();
        assert_eq!(
            patch.settings.as_ref(),
            Some(&current.settings),
            "{:?}",
            current.kind
        );
        let new = [
            patch.secrets.client_secret,
            patch.secrets.service_account_json,
            patch.secrets.developer_token,
        ];
        assert!(new.iter().all(Option::is_none), "the mask is not a secret");
    }
}

/// Part of AK-119
#[test]
fn no_secret_is_ever_shown() {
    let shown = format!("{:?}", settings(&full_oauth(), String::new()));
    assert!(!shown.contains("s3cr3t"), "{shown}");
    assert_eq!(shown.matches(MASK).count(), 2);
    let Shown::OauthConfig(config) = settings(&connection(AuthKind::Oauth), String::new()) else {
        panic!("not OAuth");
    };
    assert_eq!(config.client_secret, None, "nothing is stored");
}

fn oauth_update(
    config: pb::OAuthConnectionConfig,
    explicit: Option<&ExplicitFields>,
) -> ConnectionPatch {
    let message = pb::UpdateConnection {
        settings: Some(Sent::OauthConfig(config)),
        ..pb::UpdateConnection::default()
    };
    update(message, &full_oauth(), explicit).unwrap()
}

/// AK-104: absent keeps, present replaces, empty text clears.
#[test]
fn single_settings_can_be_changed() {
    let value = |value: &str| {
        Some(StringValue {
            value: value.to_owned(),
        })
    };
    let patch = oauth_update(
        pb::OAuthConnectionConfig {
            prompt: value(""),
            client_id: value("other"),
            client_secret: value("new"),
            ..pb::OAuthConnectionConfig::default()
        },
        None,
    );
    let mut expected = full_oauth().settings;
    expected.prompt = None;
    expected.client_id = Some("other".to_owned());
    assert_eq!(patch.settings, Some(expected));
    let secret =
        |patch: ConnectionPatch| patch.secrets.client_secret.map(|new| new.expose().clone());
    assert_eq!(secret(patch).as_deref(), Some("new"));
    let cleared = pb::OAuthConnectionConfig {
        client_secret: value(""),
        ..pb::OAuthConnectionConfig::default()
    };
    assert_eq!(secret(oauth_update(cleared, None)).as_deref(), Some(""));
}

/// Over gRPC an empty list is one that was left out; JSON can say which it is.
#[test]
fn lists_are_cleared_only_when_json_names_them() {
    let scopes = |explicit| {
        oauth_update(pb::OAuthConnectionConfig::default(), explicit)
            .settings
            .unwrap()
            .scopes
    };
    assert_eq!(scopes(None), ["read"]);
    let explicit = ExplicitFields::new(["connection.oauth_config.scopes"]);
    assert!(scopes(Some(&explicit)).is_empty());
}

#[test]
fn extensions_keep_what_they_do_not_speak_of() {
    let sent = |extensions| {
        let config = pb::OAuthConnectionConfig {
            extensions: Some(extensions),
            ..pb::OAuthConnectionConfig::default()
        };
        oauth_update(config, None).settings.unwrap()
    };
    let smart = sent(pb::OauthExtensions {
        smart: Some(pb::SmartConfig {
            aud: "https://other.test".to_owned(),
            domain: String::new(),
        }),
        ..pb::OauthExtensions::default()
    });
    assert_eq!(smart.smart.unwrap().aud, "https://other.test");
    assert_eq!(smart.extra_authorize_params.len(), 1);
    let cleared = sent(pb::OauthExtensions::default());
    assert!(cleared.extra_authorize_params.is_empty());
    assert!(cleared.smart.is_some());
}

/// Part of AK-107
#[test]
fn what_does_not_fit_is_refused() {
    let refused = |message| update(message, &full_oauth(), None).is_err();
    let settings = |settings| pb::UpdateConnection {
        settings: Some(settings),
        ..pb::UpdateConnection::default()
    };
    assert!(refused(settings(Sent::GoogleDwdConfig(
        pb::GoogleDwdConfig::default()
    ))));
    assert!(refused(settings(Sent::OidcConfig(
        pb::OidcConnectionConfig::default()
    ))));
    assert!(refused(pb::UpdateConnection {
        r#type: pb::ConnectionType::ApiKey as i32,
        ..pb::UpdateConnection::default()
    }));
    assert!(refused(pb::UpdateConnection {
        provider_key: "OTHER".to_owned(),
        ..pb::UpdateConnection::default()
    }));
}
