use super::{connection_settings::settings, structs::to_json, time};
use keystead_agentkit::{
    Error,
    connections::{AuthMode, Connection, ConnectionStatus, NewConnection, TestStatus},
    providers::{AuthKind, Provider},
};
use keystead_proto::v1::connections as pb;
use keystead_types::ConnectionId;

/// An id that cannot be one of ours is the id of nothing.
pub(crate) fn id(text: &str) -> Result<ConnectionId, Error> {
    text.parse().map_err(|_| unknown(text))
}

/// No such connection.
pub(crate) fn unknown(text: &str) -> Error {
    Error::ConnectionNotFound(text.to_owned())
}

/// The number of a kind; what has none of its own counts as BEARER (section 1.3).
pub(crate) const fn kind_number(kind: AuthKind) -> i32 {
    let number = match kind {
        AuthKind::Oauth => pb::ConnectionType::Oauth,
        AuthKind::Basic => pb::ConnectionType::Basic,
        AuthKind::Bearer | AuthKind::ServiceAccount | AuthKind::KeyPair | AuthKind::CustomJwt => {
            pb::ConnectionType::Bearer
        }
        AuthKind::ApiKey => pb::ConnectionType::ApiKey,
        AuthKind::OauthM2m => pb::ConnectionType::OauthM2m,
        AuthKind::TrelloOauth1 => pb::ConnectionType::TrelloOauth1,
        AuthKind::GoogleDwd => pb::ConnectionType::GoogleDwd,
        AuthKind::TrustedIdp => pb::ConnectionType::TrustedIdp,
        AuthKind::SmartFhir => pb::ConnectionType::SmartFhir,
        AuthKind::NoAuth => pb::ConnectionType::NoAuth,
    };
    number as i32
}

/// The kind that a caller means; `None` when he leaves it to the connector.
///
/// BEARER also stands for the kinds without a number, when the connector has exactly one of them
/// and takes no plain token.
fn kind(number: i32, provider: &Provider) -> Result<Option<AuthKind>, Error> {
    use pb::ConnectionType as Type;
    let kind = match Type::try_from(number) {
        Ok(Type::Invalid) => return Ok(None),
        Ok(Type::Oauth) => AuthKind::Oauth,
        Ok(Type::Basic) => AuthKind::Basic,
        Ok(Type::Bearer) => bearer(provider),
        Ok(Type::ApiKey) => AuthKind::ApiKey,
        Ok(Type::OauthM2m) => AuthKind::OauthM2m,
        Ok(Type::TrelloOauth1) => AuthKind::TrelloOauth1,
        Ok(Type::GoogleDwd) => AuthKind::GoogleDwd,
        Ok(Type::TrustedIdp) => AuthKind::TrustedIdp,
        Ok(Type::SmartFhir) => AuthKind::SmartFhir,
        Ok(Type::NoAuth) => AuthKind::NoAuth,
        Ok(Type::Oidc | Type::Saml | Type::Password | Type::Passwordless | Type::Webauthn)
        | Err(_) => {
            return Err(Error::field(
                "connection.type",
                "is not a kind of connector authentication",
            ));
        }
    };
    Ok(Some(kind))
}

fn bearer(provider: &Provider) -> AuthKind {
    let unnumbered = [
        AuthKind::ServiceAccount,
        AuthKind::KeyPair,
        AuthKind::CustomJwt,
    ];
    let kinds = provider.auth_patterns.iter().map(|pattern| pattern.kind);
    let mut fitting = kinds.clone().filter(|kind| unnumbered.contains(kind));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) if !kinds.clone().any(|kind| kind == AuthKind::Bearer) => only,
        _ => AuthKind::Bearer,
    }
}

/// What a create request asks for.
///
/// # Errors
/// [`Error::Invalid`] for a kind or context that the contract does not know.
pub(crate) fn create(
    message: pb::CreateConnection,
    provider: &Provider,
) -> Result<NewConnection, Error> {
    let context = message.context.map(to_json).unwrap_or_default();
    if let Some(name) = context
        .keys()
        .find(|name| !["domain", "version"].contains(&name.as_str()))
    {
        // AK-038
        return Err(Error::field(
            "connection.context",
            &format!(
                "may hold domain and version only, not `{}`",
                name.chars().take(64).collect::<String>()
            ),
        ));
    }
    Ok(NewConnection {
        provider_key: provider.identifier.clone(),
        kind: kind(message.r#type, provider)?,
        key_id: message.key_id,
        context,
        auth_mode: if message.auth_mode == pb::ConnectionAuthMode::OrgWide as i32 {
            AuthMode::OrgWide
        } else {
            AuthMode::User
        },
    })
}

const fn status(status: ConnectionStatus) -> i32 {
    let number = match status {
        ConnectionStatus::Draft => pb::ConnectionStatus::Draft,
        ConnectionStatus::InProgress => pb::ConnectionStatus::InProgress,
        ConnectionStatus::Completed => pb::ConnectionStatus::Completed,
    };
    number as i32
}

const fn auth_mode(mode: AuthMode) -> i32 {
    let number = match mode {
        AuthMode::User => pb::ConnectionAuthMode::User,
        AuthMode::OrgWide => pb::ConnectionAuthMode::OrgWide,
    };
    number as i32
}

/// Address of a virtual MCP server with the tools of a connection (AK-123). Names hold no character
/// but the space that a path cannot hold (AK-101).
fn mcp_server_url(origin: &str, connection: &Connection) -> String {
    let name = connection.key_id.replace(' ', "%20");
    format!("{origin}/mcp/v3/connections/{name}")
}

/// A connection with its settings; secrets are masked. `origin` is that of the environment.
pub(crate) fn connection(
    connection: &Connection,
    redirect_uri: String,
    origin: &str,
) -> pb::Connection {
    pb::Connection {
        id: connection.id.to_string(),
        r#type: kind_number(connection.kind),
        status: status(connection.status),
        enabled: connection.enabled,
        create_time: time(connection.created_at),
        update_time: time(connection.updated_at),
        settings: Some(settings(connection, redirect_uri)),
        key_id: Some(connection.key_id.clone()),
        provider_key: connection.provider_key.clone(),
        mcp_server_url: Some(mcp_server_url(origin, connection)),
        resolved_proxy_url: connection.settings.resolved_proxy_url.clone(),
        auth_mode: auth_mode(connection.auth_mode),
        ..pb::Connection::default()
    }
}

/// A connection as lists show it.
pub(crate) fn row(connection: &Connection, origin: &str) -> pb::ListConnection {
    pb::ListConnection {
        id: connection.id.to_string(),
        r#type: kind_number(connection.kind),
        status: status(connection.status),
        enabled: connection.enabled,
        provider_key: connection.provider_key.clone(),
        key_id: connection.key_id.clone(),
        created_at: time(connection.created_at),
        mcp_server_url: mcp_server_url(origin, connection),
        auth_mode: auth_mode(connection.auth_mode),
        ..pb::ListConnection::default()
    }
}

/// How far a test is, on the wire.
pub(crate) const fn test_status(status: TestStatus) -> i32 {
    let number = match status {
        TestStatus::Pending => pb::TestResultStatus::Pending,
        TestStatus::Success => pb::TestResultStatus::Success,
        TestStatus::Failure => pb::TestResultStatus::Failure,
    };
    number as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::{Struct, Value, value::Kind};
    use serde_json::json;
    use std::collections::BTreeMap;

    fn provider(kinds: &[&str]) -> Provider {
        let patterns: Vec<_> = kinds.iter().map(|kind| json!({ "type": kind })).collect();
        Provider {
            identifier: "ACME".to_owned(),
            slug: "acme".to_owned(),
            display_name: "Acme".to_owned(),
            description: String::new(),
            categories: Vec::new(),
            auth_patterns: serde_json::from_value(json!(patterns)).unwrap(),
            icon_src: String::new(),
            display_priority: 0,
            proxy_url: "https://api.acme.test".to_owned(),
            proxy_enabled: true,
            is_custom: false,
            metadata: BTreeMap::new(),
        }
    }

    /// Section 1.3
    #[test]
    fn bearer_stands_for_the_only_kind_without_a_number() {
        let chosen = |kinds: &[&str]| {
            kind(pb::ConnectionType::Bearer as i32, &provider(kinds))
                .unwrap()
                .unwrap()
        };
        assert_eq!(chosen(&["KEY_PAIR"]), AuthKind::KeyPair);
        assert_eq!(
            chosen(&["OAUTH", "SERVICE_ACCOUNT"]),
            AuthKind::ServiceAccount
        );
        assert_eq!(chosen(&["BEARER", "CUSTOM_JWT"]), AuthKind::Bearer);
        assert_eq!(chosen(&["KEY_PAIR", "CUSTOM_JWT"]), AuthKind::Bearer);
        assert_eq!(chosen(&[]), AuthKind::Bearer);
    }

    #[test]
    fn every_kind_with_a_number_round_trips() {
        for number in [4, 6, 7, 8, 10, 11, 12, 13, 14, 15] {
            let kind = kind(number, &provider(&[])).unwrap().unwrap();
            assert_eq!(kind_number(kind), number);
        }
        assert_eq!(kind(0, &provider(&[])).unwrap(), None);
        for login_or_unknown in [1, 2, 3, 5, 9, 99] {
            assert!(kind(login_or_unknown, &provider(&[])).is_err());
        }
    }

    /// Part of AK-038
    #[test]
    fn only_domain_and_version_may_be_given() {
        let with = |name: &str| pb::CreateConnection {
            context: Some(Struct {
                fields: [(
                    name.to_owned(),
                    Value {
                        kind: Some(Kind::StringValue("eu".to_owned())),
                    },
                )]
                .into(),
            }),
            ..pb::CreateConnection::default()
        };
        assert!(create(with("domain"), &provider(&["OAUTH"])).is_ok());
        assert!(create(with("timeout"), &provider(&["OAUTH"])).is_err());
    }
}
