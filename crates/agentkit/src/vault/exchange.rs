//! Talking to a token endpoint.

use super::GrantClient;
use crate::{
    AgentKit,
    accounts::Grounds,
    connections::{Connection, ConnectionPatch},
};
use bytes::Bytes;
use http::{Request, header};
use keystead_identity::Actor;
use keystead_net::{FetchError, Limits};
use keystead_oauth::{
    Answer, Client, ClientAuthentication, FORM_CONTENT_TYPE, FailureKind, Grant, TokenFailure,
    TokenPaths, TokenRequest, TokenResponse, parse_refresh_response, parse_token_response,
};
use keystead_types::Secret;
use std::time::Duration;
use tokio::time::Instant;

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// The provider answered, but not with tokens.
    #[error(transparent)]
    Answer(#[from] TokenFailure),
    /// No answer.
    #[error("{0}")]
    NoAnswer(#[from] FetchError),
    /// The endpoint is no URL.
    #[error("the token endpoint is not a valid URL")]
    Endpoint,
}

impl ExchangeError {
    /// The grant is gone; asking again cannot help (AK-224).
    pub(crate) fn is_definitive(&self) -> bool {
        matches!(self, Self::Answer(failure) if failure.kind() == FailureKind::Definitive)
    }
}

/// One exchange at a token endpoint.
pub(crate) struct TokenCall<'a> {
    /// Who asks; `None` when an assertion names the client.
    pub(crate) client: Option<&'a GrantClient>,
    /// Key of the connector whose provider is asked.
    pub(crate) provider: &'a str,
    /// The endpoint.
    pub(crate) endpoint: &'a str,
    /// What is exchanged.
    pub(crate) grant: Grant<'a>,
    /// Where the answer keeps its values.
    pub(crate) paths: &'a TokenPaths,
    /// Further form fields.
    pub(crate) extra: &'a [(String, String)],
    /// From sending to the last byte, both tries together.
    pub(crate) timeout: Duration,
}

impl AgentKit {
    /// Asks the endpoint; after `invalid_client` once more with the other way to authenticate
    /// (AK-227). Gives the way that worked.
    pub(crate) async fn exchange(
        &self,
        call: &TokenCall<'_>,
    ) -> Result<(TokenResponse, Option<ClientAuthentication>), ExchangeError> {
        let configured = call.client.map(|client| {
            client
                .auth_method
                .parse::<ClientAuthentication>()
                .unwrap_or(ClientAuthentication::Post)
        });
        let began = Instant::now();
        let first = self.exchange_once(call, configured, call.timeout).await;
        let refused =
            matches!(&first, Err(ExchangeError::Answer(failure)) if failure.is_invalid_client());
        let alternative = configured.and_then(ClientAuthentication::alternative);
        match (refused, alternative) {
            // SECURITY: nothing was consumed, since the client was refused before the grant was read.
            (true, Some(other)) => {
                let left = call.timeout.saturating_sub(began.elapsed());
                match self.exchange_once(call, Some(other), left).await {
                    Ok(tokens) => Ok((tokens, Some(other))),
                    // Refused both ways: the way that is configured has the say.
                    Err(ExchangeError::Answer(failure)) if failure.is_invalid_client() => {
                        first.map(|tokens| (tokens, configured))
                    }
                    Err(second) => Err(second),
                }
            }
            _ => first.map(|tokens| (tokens, configured)),
        }
    }

    /// Lets the connection keep the way that its client was authenticated, so that no other account
    /// has to find it out (AK-227). Only after the tokens are stored, which cannot be had again.
    pub(crate) async fn remember_way(&self, grounds: &Grounds, client: &GrantClient) {
        let way = client.auth_method.as_str();
        // A client of the past says nothing about the one that new grants are issued to.
        let concerns = |connection: &Connection| {
            let id = connection.settings.client_id.as_deref();
            id == Some(&client.client_id) && connection.auth_method(Some(&grounds.pattern)) != way
        };
        if !concerns(&grounds.connection) {
            return;
        }
        let change = |current: &Connection| {
            let mut settings = current.settings.clone();
            if concerns(current) {
                settings.token_endpoint_auth_method = Some(way.to_owned());
            }
            Ok(ConnectionPatch {
                settings: Some(settings),
                ..ConnectionPatch::default()
            })
        };
        let (env, id) = (grounds.environment, grounds.connection.id);
        let changed = self
            .change_connection(env, &Actor::system(), id, change)
            .await;
        if let Err(error) = changed {
            // The next exchange finds it out again.
            tracing::info!(connection = %id, %error, "the way to authenticate was not kept");
        }
    }

    async fn exchange_once(
        &self,
        call: &TokenCall<'_>,
        authentication: Option<ClientAuthentication>,
        timeout: Duration,
    ) -> Result<TokenResponse, ExchangeError> {
        let secret = call
            .client
            .map(|client| Secret::new(client.client_secret.clone()));
        let client = call
            .client
            .zip(authentication)
            .map(|(client, authentication)| Client {
                id: &client.client_id,
                secret: secret.as_ref().filter(|secret| !secret.expose().is_empty()),
                authentication,
            });
        let form = TokenRequest::new(client.as_ref(), &call.grant, call.extra);
        let mut request = Request::post(call.endpoint)
            .header(header::CONTENT_TYPE, FORM_CONTENT_TYPE)
            .header(header::ACCEPT, "application/json");
        if let Some(authorization) = &form.authorization {
            request = request.header(header::AUTHORIZATION, authorization.expose());
        }
        let body = Bytes::from(form.body.expose().clone());
        let request = request.body(body).map_err(|_| ExchangeError::Endpoint)?;
        let limits = Limits {
            timeout,
            ..Limits::DOCUMENT
        };
        let response = self
            .http_of(call.provider)
            .fetch_within(request, limits)
            .await?;
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let answer = Answer {
            status: response.status().as_u16(),
            content_type: content_type.and_then(|value| value.to_str().ok()),
            body: response.body(),
        };
        let parsed = match call.grant {
            Grant::RefreshToken { .. } => parse_refresh_response(&answer, call.paths),
            _ => parse_token_response(&answer, call.paths),
        };
        Ok(parsed?)
    }
}

impl Grounds {
    /// Id of the client the grant was issued to, or of the connection's (AK-108).
    pub(crate) fn client_id(&self) -> &str {
        let own = self.connection.settings.client_id.as_deref();
        match &self.credential.client {
            Some(client) => &client.client_id,
            None => own.unwrap_or(""),
        }
    }
}

/// The client a grant was issued to. When the connection still has the same client id its
/// current secret is used, since that one may have been rotated (AK-108).
pub(super) fn client_of(grounds: &Grounds) -> Option<GrantClient> {
    let connection = &grounds.connection;
    let mut client = match &grounds.credential.client {
        Some(stored) => {
            let mut client = stored.clone();
            let same = connection.settings.client_id.as_deref() == Some(&client.client_id);
            if same {
                // What was found out for another account of the connection (AK-227).
                let method = connection.auth_method(Some(&grounds.pattern));
                method.clone_into(&mut client.auth_method);
            }
            if same && !connection.secrets.client_secret.is_empty() {
                client
                    .client_secret
                    .clone_from(&connection.secrets.client_secret);
            }
            client
        }
        None => {
            let endpoint = connection.in_tenant(&grounds.refresh_endpoint()?);
            connection.grant_client(endpoint, Some(&grounds.pattern))
        }
    };
    // Tokens that were imported came with the endpoint as the connector has it, a template maybe.
    client.token_uri = grounds.endpoint(&client.token_uri).ok()?;
    Some(client)
}
