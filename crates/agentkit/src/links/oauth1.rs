//! The three-legged flow of OAuth 1.0a (RFC 5849; AK-005).
//!
//! It differs from OAuth 2.0 in its first step: the server registers the callback with the provider
//! and gets a temporary token, which the browser carries through the consent. The `state` is part of
//! the callback's address, so the callback is bound to link, connection and browser like any other.

use super::{
    callback::{CallbackError, EXCHANGE_TIMEOUT},
    consent::{Chosen, FlowSecrets, TemporaryCredentials},
    exchange_failure::ExchangeFailure,
};
use crate::{
    AgentKit, Error,
    accounts::Grounds,
    error::Result,
    providers::Oauth1Settings,
    vault::{Credential, GrantClient},
};
use bytes::Bytes;
use http::{Request, header};
use keystead_net::Limits;
use keystead_oauth::{
    Answer,
    oauth1::{
        Consumer, FlowError, Stamp, TokenPair, Verifier, access_token_header, authorize_url,
        parse_access_token, parse_temporary_credentials, request_token_header,
    },
};
use keystead_types::Secret;
use url::Url;

/// Where a flow goes.
pub(super) struct Endpoints<'a> {
    /// The consent page.
    pub(super) authorize: &'a str,
    /// The client, with the endpoint of the last step.
    pub(super) client: GrantClient,
    /// Where the browser comes back to, without the state.
    pub(super) redirect_uri: String,
}

impl AgentKit {
    /// Begins a flow: the consent page's address, and what the callback needs.
    pub(super) async fn begin_oauth1(
        &self,
        grounds: &Grounds,
        endpoints: Endpoints<'_>,
        state: &Secret<String>,
        scopes: &[String],
    ) -> Result<(Url, FlowSecrets)> {
        let Endpoints {
            authorize,
            client,
            redirect_uri,
        } = endpoints;
        let settings = grounds.oauth1().ok_or(Error::Unsupported(
            "OAuth 1.0a without a request token endpoint",
        ))?;
        let endpoint = grounds.endpoint(&settings.request_token_uri)?;
        let callback = with_state(&redirect_uri, state)?;
        let temporary = self
            .temporary_credentials(grounds, &settings, &endpoint, &client, &callback)
            .await
            .map_err(Error::ConsentNotStarted)?;
        let url = authorize_url(authorize, &temporary, &parameters(grounds, scopes))
            .map_err(|error| Error::field("oauth_config", &error.to_string()))?;
        let secrets = FlowSecrets {
            verifier: None,
            client,
            redirect_uri,
            temporary: Some(TemporaryCredentials {
                token: temporary.token.expose().clone(),
                secret: temporary.secret.expose().clone(),
            }),
            chosen: Chosen::default(),
        };
        Ok((url, secrets))
    }

    async fn temporary_credentials(
        &self,
        grounds: &Grounds,
        settings: &Oauth1Settings,
        endpoint: &str,
        client: &GrantClient,
        callback: &str,
    ) -> std::result::Result<TokenPair, String> {
        let secret = Secret::new(client.client_secret.clone());
        let stamp = Stamp::new(self.ctx().clock.now(), &*self.ctx().rng);
        let header = request_token_header(
            endpoint,
            &consumer(settings, client, &secret),
            callback,
            &stamp,
        )
        .map_err(|error| error.to_string())?;
        self.signed_post(grounds, endpoint, &header, |answer| {
            parse_temporary_credentials(answer).map_err(|error: FlowError| error.to_string())
        })
        .await
    }

    /// Ends a flow: exchanges the temporary token for the one to keep.
    pub(super) async fn finish_oauth1(
        &self,
        grounds: &Grounds,
        secrets: &FlowSecrets,
        verifier: &Verifier,
    ) -> std::result::Result<Credential, CallbackError> {
        let settings = grounds.oauth1().ok_or(CallbackError::InvalidState)?;
        let temporary = secrets.temporary.as_ref();
        let temporary = temporary.ok_or(CallbackError::InvalidState)?;
        // SECURITY: the verifier must be for the token of this very flow, or the answer to an
        // attacker's flow could be put into a victim's callback.
        if temporary.token != *verifier.token.expose() {
            return Err(CallbackError::InvalidState);
        }
        let pair = TokenPair {
            token: Secret::new(temporary.token.clone()),
            secret: Secret::new(temporary.secret.clone()),
        };
        let client = &secrets.client;
        let secret = Secret::new(client.client_secret.clone());
        let stamp = Stamp::new(self.ctx().clock.now(), &*self.ctx().rng);
        let header = access_token_header(
            &client.token_uri,
            &consumer(&settings, client, &secret),
            &pair,
            verifier.verifier.expose(),
            &stamp,
        );
        let failed = |reason| CallbackError::Exchange(ExchangeFailure::because(reason));
        let header = header.map_err(|error| failed(error.to_string()))?;
        let token = self
            .signed_post(grounds, &client.token_uri, &header, |answer| {
                parse_access_token(answer).map_err(|error| error.to_string())
            })
            .await
            .map_err(failed)?;
        let mut credential = Credential::default();
        credential.access_token.clone_from(token.token.expose());
        credential.token_secret.clone_from(token.secret.expose());
        credential.client = Some(client.clone());
        Ok(credential)
    }

    async fn signed_post(
        &self,
        grounds: &Grounds,
        endpoint: &str,
        authorization: &Secret<String>,
        parse: impl FnOnce(&Answer<'_>) -> std::result::Result<TokenPair, String>,
    ) -> std::result::Result<TokenPair, String> {
        let mut value = header::HeaderValue::try_from(authorization.expose().as_str())
            .map_err(|_| "the consumer key cannot be sent in a header".to_owned())?;
        value.set_sensitive(true);
        let request = Request::post(endpoint)
            .header(header::AUTHORIZATION, value)
            .body(Bytes::new())
            .map_err(|_| "the endpoint is not a valid URL".to_owned())?;
        let limits = Limits {
            timeout: EXCHANGE_TIMEOUT,
            ..Limits::DOCUMENT
        };
        let http = self.http_of(&grounds.provider.identifier);
        let response = http.fetch_within(request, limits).await;
        let response = response.map_err(|error| error.to_string())?;
        let content_type = response.headers().get(header::CONTENT_TYPE);
        parse(&Answer {
            status: response.status().as_u16(),
            content_type: content_type.and_then(|value| value.to_str().ok()),
            body: response.body(),
        })
    }
}

impl Grounds {
    /// What OAuth 1.0a needs of the connector.
    pub(crate) fn oauth1(&self) -> Option<Oauth1Settings> {
        self.pattern.oauth_config.as_ref()?.oauth1.clone()
    }
}

/// The application as its client signs.
pub(crate) fn consumer<'a>(
    settings: &Oauth1Settings,
    client: &'a GrantClient,
    secret: &'a Secret<String>,
) -> Consumer<'a> {
    Consumer {
        key: &client.client_id,
        secret,
        method: settings.signature_method,
    }
}

fn with_state(redirect_uri: &str, state: &Secret<String>) -> Result<String> {
    let mut url = Url::parse(redirect_uri).map_err(keystead_types::Internal::new)?;
    url.query_pairs_mut().append_pair("state", state.expose());
    Ok(url.into())
}

/// The provider's own parameters of the consent page: RFC 5849 has neither scopes nor a name.
fn parameters(grounds: &Grounds, scopes: &[String]) -> Vec<(String, String)> {
    let settings = &grounds.connection.settings;
    let oauth = grounds.pattern.oauth_config.as_ref();
    let mut parameters: Vec<(String, String)> = Vec::new();
    let mut put = |name: &str, value: &str| {
        parameters.retain(|(known, _)| known != name);
        parameters.push((name.to_owned(), value.to_owned()));
    };
    let own = oauth.map(|oauth| &oauth.extra_authorize_params);
    for (name, value) in own.into_iter().flatten() {
        put(name, value);
    }
    for (name, value) in &settings.extra_authorize_params {
        put(name, value);
    }
    if let Some(name) = settings.app_name.as_deref().filter(|name| !name.is_empty()) {
        put("name", name);
    }
    if !scopes.is_empty() {
        let separator = oauth.and_then(|oauth| oauth.scope_separator.as_deref());
        let parameter = settings
            .custom_scope_name
            .as_deref()
            .filter(|name| !name.is_empty())
            .or_else(|| oauth.and_then(|oauth| oauth.custom_scope_name.as_deref()));
        put(
            parameter.unwrap_or("scope"),
            &scopes.join(separator.unwrap_or(" ")),
        );
    }
    parameters
}
