//! What can be said of an OAuth connection before anybody authorizes (AK-116).

use super::Connection;
use crate::{
    AgentKit,
    error::Result,
    providers::{AuthKind, AuthPattern},
    vault::{ExchangeError, TokenCall},
};
use bytes::Bytes;
use http::Request;
use keystead_crypto::random_token;
use keystead_net::{FetchError, Limits};
use keystead_oauth::{Grant, TokenFailure, TokenPaths};
use keystead_types::EnvironmentId;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// Names of `invalid_client` (RFC 6749, section 5.2), and of GitHub and Slack for the same.
const WRONG_CLIENT: [&str; 4] = [
    "invalid_client",
    "incorrect_client_credentials",
    "invalid_client_id",
    "bad_client_secret",
];

/// Why a test ended before a link was made.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: &'static str,
    /// Never a word of the provider.
    pub(super) text: String,
}

impl Fault {
    fn unreachable(endpoint: &'static str, why: &FetchError) -> Self {
        let (code, name) = match endpoint {
            "authorize_uri" => (
                "authorization_endpoint_unreachable",
                "authorization endpoint",
            ),
            _ => ("token_endpoint_unreachable", "token endpoint"),
        };
        Self {
            code,
            text: format!("The {name} gave no answer: {why}."),
        }
    }
}

impl AgentKit {
    /// Asks the endpoints that need no value of an account, and the token endpoint whether it knows
    /// the client: a made-up code is refused as such only to a client that was believed. Any other
    /// answer says nothing, and the authorization itself decides.
    pub(super) async fn probe(
        &self,
        env: EnvironmentId,
        connection: &Connection,
    ) -> Result<Option<Fault>> {
        if !matches!(connection.kind, AuthKind::Oauth | AuthKind::SmartFhir) {
            return Ok(None);
        }
        let provider = self.provider(env, &connection.provider_key).await?;
        let pattern = provider.pattern(connection.kind);
        let (authorize, token) = fixed_endpoints(connection, pattern);
        if let Some(authorize) = authorize
            && let Some(why) = self.unreachable(connection, &authorize).await
        {
            return Ok(Some(Fault::unreachable("authorize_uri", &why)));
        }
        let Some(token) = token else {
            return Ok(None);
        };
        let client = connection.grant_client(token.clone(), pattern);
        let redirect_uri = self.redirect_uri(env, connection.id).await?;
        let code = random_token(&*self.ctx().rng, "", 32);
        let call = TokenCall {
            client: Some(&client),
            provider: &connection.provider_key,
            endpoint: &token,
            grant: Grant::AuthorizationCode {
                code: &code,
                redirect_uri: &redirect_uri,
                verifier: None,
            },
            paths: &TokenPaths::default(),
            extra: &[],
            timeout: PATIENCE,
        };
        Ok(match self.exchange(&call).await {
            Err(ExchangeError::NoAnswer(why)) => Some(Fault::unreachable("token_uri", &why)),
            Err(ExchangeError::Answer(TokenFailure::Refused { code, .. }))
                if WRONG_CLIENT.contains(&code.to_ascii_lowercase().as_str()) =>
            {
                Some(Fault {
                    code: "invalid_client",
                    text:
                        "The provider does not accept the client id and secret of the connection."
                            .to_owned(),
                })
            }
            _ => None,
        })
    }

    /// Whatever the answer says, there is one.
    async fn unreachable(&self, connection: &Connection, endpoint: &str) -> Option<FetchError> {
        let request = Request::get(endpoint).body(Bytes::new()).ok()?;
        let limits = Limits {
            timeout: PATIENCE,
            ..Limits::DOCUMENT
        };
        let http = self.http_of(&connection.provider_key);
        match http.fetch_within(request, limits).await {
            Ok(_) | Err(FetchError::TooLarge { .. }) => None,
            Err(why) => Some(why),
        }
    }
}

/// Authorization and token endpoint as a consent uses them, unless a value of an account belongs
/// there.
fn fixed_endpoints(
    connection: &Connection,
    pattern: Option<&AuthPattern>,
) -> (Option<String>, Option<String>) {
    let fixed = |uri: Option<&str>| {
        uri.filter(|uri| !uri.contains("{{"))
            .map(|uri| connection.in_tenant(uri))
    };
    (
        fixed(connection.authorize_uri(pattern)),
        fixed(connection.token_uri(pattern)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::{AuthMode, ConnectionSecrets, ConnectionSettings, ConnectionStatus};
    use keystead_types::{ConnectionId, Id, Timestamp};

    /// Part of AK-105, part of AK-116: an app of one tenant is unknown at `/common/`.
    #[test]
    fn endpoints_are_asked_in_the_connections_tenant() {
        let mut connection = Connection {
            id: ConnectionId::from_number(1),
            key_id: "mail".to_owned(),
            provider_key: "OUTLOOK".to_owned(),
            kind: AuthKind::Oauth,
            status: ConnectionStatus::Completed,
            enabled: true,
            auth_mode: AuthMode::User,
            settings: ConnectionSettings {
                authorize_uri: Some("https://login.microsoftonline.com/common/a".to_owned()),
                token_uri: Some("https://login.microsoftonline.com/common/t".to_owned()),
                tenant_id: Some("acme.test".to_owned()),
                ..ConnectionSettings::default()
            },
            secrets: ConnectionSecrets::default(),
            revision: 1,
            created_at: Timestamp::from_secs(1),
            updated_at: Timestamp::from_secs(1),
        };
        let at = |path: &str| {
            Some(format!(
                "https://login.microsoftonline.com/acme.test/{path}"
            ))
        };
        assert_eq!(fixed_endpoints(&connection, None), (at("a"), at("t")));
        connection.settings.token_uri = Some("https://{{domain}}/t".to_owned());
        assert_eq!(fixed_endpoints(&connection, None), (at("a"), None));
    }
}
