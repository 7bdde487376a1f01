//! The browser comes back from the provider (AK-309..AK-311).

use super::{
    OpenLink, consent::FlowSecrets, consenter::ProviderAccount, exchange_failure::ExchangeFailure,
    hooks::Found, purpose, settle::Granted,
};
use crate::{
    AgentKit, Error,
    accounts::{Grounds, token_paths},
    connections::test_run,
    providers::AuthKind,
    record,
    vault::{Credential, GrantClient, Sealed, TokenCall},
};
use keystead_oauth::{Callback, Denial, Grant, TokenResponse, oauth1};
use keystead_store::entities::auth_links::{self, FlowRow};
use keystead_types::{ConnectionId, EnvironmentId, Internal, Secret};
use serde_json::{Map, Value};
use std::{fmt, time::Duration};
use tokio::time::Instant;
use tracing::Instrument;
use url::Url;

/// Time for the code exchange, and for asking who consented (AK-309).
pub(super) const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// How a flow ended. Its `Debug` shows no address: that of the application holds what verifies.
pub enum CallbackEnd {
    /// The account is active.
    Connected,
    /// The application must verify the user; send the browser there.
    Application(Url),
    /// A member of the workspace must sign in; the secret is what `verify_member` takes.
    SignIn(Secret<String>),
    /// The user must say which place is meant; the secret is what `choose_place` takes.
    Choose(Secret<String>),
}

impl fmt::Debug for CallbackEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connected => "Connected",
            Self::Application(_) => "Application(…)",
            Self::SignIn(_) => "SignIn(…)",
            Self::Choose(_) => "Choose(…)",
        })
    }
}

/// Why a flow did not end well. Nothing of the account changed.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// The answer names another issuer than the connector (RFC 9207): its code may belong to a
    /// server that is not the one asked.
    #[error("the answer comes from another authorization server")]
    WrongIssuer,
    /// The provider sent the browser back with something that is no answer.
    #[error(transparent)]
    Unreadable(#[from] keystead_oauth::CallbackError),
    /// Unknown, used or foreign state, or another browser.
    #[error("the authorization was not started in this browser or was finished already")]
    InvalidState,
    /// The link was finished or ran out meanwhile.
    #[error("the authorization link is no longer valid")]
    SessionExpired,
    /// The provider refused.
    #[error("the provider answered {}", .0.code)]
    Denied(Denial),
    /// The code could not be exchanged.
    #[error("the provider did not issue tokens: {0}")]
    Exchange(ExchangeFailure),
    /// Values of the account could not be read from the provider.
    #[error("Error executing post auth hooks: {0}")]
    PostAuth(String),
    /// Nobody could verify the user.
    #[error("user_verify_url not configured for verification redirect")]
    NoVerifyUrl,
    /// A business reason.
    #[error(transparent)]
    Other(#[from] Error),
}

impl From<keystead_store::StoreError> for CallbackError {
    fn from(error: keystead_store::StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl From<Internal> for CallbackError {
    fn from(error: Internal) -> Self {
        Self::Other(error.into())
    }
}

/// What proves the consent.
enum Proof {
    /// OAuth 2.0.
    Code(Secret<String>),
    /// OAuth 1.0a.
    Verifier(oauth1::Verifier),
}

pub(super) type Result<T> = std::result::Result<T, CallbackError>;

impl AgentKit {
    /// Takes the provider's answer. `browser` is the value of the flow's cookie.
    ///
    /// It goes on when the browser hangs up: the flow is spent then, and what the provider issues has
    /// to be stored or revoked.
    ///
    /// # Errors
    /// [`CallbackError`].
    pub async fn finish_consent(
        &self,
        env: EnvironmentId,
        connection: ConnectionId,
        browser: Option<&Secret<String>>,
        parameters: &str,
    ) -> Result<CallbackEnd> {
        let kit = self.clone();
        let (browser, parameters) = (browser.cloned(), parameters.to_owned());
        let span = tracing::Span::current();
        let work = async move {
            kit.take_answer(env, connection, browser.as_ref(), &parameters)
                .await
        };
        self.to_the_end(work.instrument(span)).await
    }

    async fn take_answer(
        &self,
        env: EnvironmentId,
        connection: ConnectionId,
        browser: Option<&Secret<String>>,
        parameters: &str,
    ) -> Result<CallbackEnd> {
        let (state, outcome, issuer) = self.read_answer(env, connection, parameters).await?;
        let browser = browser.ok_or(CallbackError::InvalidState)?;
        let flow = self.redeem(env, connection, &state, browser).await?;
        let link = self.unfinished(env, flow.link_id).await?;
        let secrets: FlowSecrets = self
            .open_sealed(env, Sealed::Flow(&flow.id.to_string()), &flow.sealed)
            .await?;
        let asked = link.grounds.with_choices(&secrets.chosen);
        let granted = match outcome {
            _ if link.grounds.is_foreign_issuer(issuer.as_deref()) => {
                Err(CallbackError::WrongIssuer)
            }
            Ok(Proof::Code(code)) => {
                self.exchange_code(&asked, &flow, &secrets, &code, parameters)
                    .await
            }
            Ok(Proof::Verifier(verifier)) => {
                self.exchange_verifier(&asked, &flow, &secrets, &verifier)
                    .await
            }
            Err(denial) => Err(CallbackError::Denied(denial)),
        };
        match granted {
            Ok(mut granted) => {
                let question = granted.question.take();
                let pending = granted.into_pending(secrets.chosen);
                match question {
                    Some(question) => self.ask_place(env, &flow, pending, question).await,
                    None => self.settle_or_drop(env, &link, pending).await,
                }
            }
            Err(error) => {
                self.note_failure(env, &link, &error).await?;
                Err(error)
            }
        }
    }

    /// What the provider sent: the state, and the proof of the consent or the refusal.
    async fn read_answer(
        &self,
        env: EnvironmentId,
        connection: ConnectionId,
        parameters: &str,
    ) -> Result<(
        Secret<String>,
        std::result::Result<Proof, Denial>,
        Option<String>,
    )> {
        let kind = match self.connection(env, connection).await {
            Ok(connection) => connection.kind,
            Err(Error::ConnectionNotFound(_)) => return Err(CallbackError::InvalidState),
            Err(other) => return Err(other.into()),
        };
        if kind == AuthKind::TrelloOauth1 {
            let callback = oauth1::Callback::parse(parameters)?;
            Ok((callback.state, callback.outcome.map(Proof::Verifier), None))
        } else {
            let callback = Callback::parse(parameters)?;
            let outcome = callback.outcome.map(Proof::Code);
            Ok((callback.state, outcome, callback.issuer))
        }
    }

    /// The account stays as it is; its history says what happened (AK-310).
    async fn note_failure(
        &self,
        env: EnvironmentId,
        link: &OpenLink,
        error: &CallbackError,
    ) -> Result<()> {
        let mut text = error.to_string();
        if let CallbackError::Exchange(failure) = error
            && let Some(description) = &failure.description
            && self.settings(env).await?.detailed_error_logging
        {
            text.push_str(": ");
            text.push_str(description.expose());
        }
        let mut tx = self.ctx().db.begin(env).await?;
        let (kind, id) = ("connected_account.oauth_failed", link.grounds.account.id);
        record::history(&mut tx, self.ctx(), id, kind, &text).await?;
        let now = self.ctx().clock.now();
        test_run::failed(&mut tx, link.row.id, error, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// One conditional update: the second use of a state finds nothing.
    async fn redeem(
        &self,
        env: EnvironmentId,
        connection: ConnectionId,
        state: &Secret<String>,
        browser: &Secret<String>,
    ) -> Result<FlowRow> {
        let hasher = &self.ctx().keys.hasher;
        let state = hasher.hash(purpose::STATE, state.expose());
        let browser = hasher.hash(purpose::BROWSER, browser.expose());
        let now = self.ctx().clock.now();
        let mut tx = self.ctx().db.begin(env).await?;
        let flow = auth_links::redeem_flow(
            &mut tx,
            state.as_bytes(),
            connection,
            browser.as_bytes(),
            now,
        )
        .await?;
        tx.commit().await?;
        flow.ok_or(CallbackError::InvalidState)
    }

    async fn exchange_code(
        &self,
        grounds: &Grounds,
        flow: &FlowRow,
        secrets: &FlowSecrets,
        code: &Secret<String>,
        parameters: &str,
    ) -> Result<Granted> {
        let deadline = Instant::now() + EXCHANGE_TIMEOUT;
        let verifier = secrets.verifier.clone().map(Secret::new);
        let paths = token_paths(&grounds.pattern);
        let extra: Vec<(String, String)> = if grounds.pattern.is_mcp {
            vec![("resource".to_owned(), grounds.base_url().into_owned())]
        } else {
            Vec::new()
        };
        let call = TokenCall {
            client: Some(&secrets.client),
            provider: &grounds.provider.identifier,
            endpoint: &secrets.client.token_uri,
            grant: Grant::AuthorizationCode {
                code,
                redirect_uri: &secrets.redirect_uri,
                verifier: verifier.as_ref(),
            },
            paths: &paths,
            extra: &extra,
            timeout: EXCHANGE_TIMEOUT,
        };
        let (tokens, authentication) = self.exchange(&call).await.map_err(|error| {
            let verifier = verifier.as_ref().map_or("", |verifier| verifier.expose());
            let known = [&secrets.client.client_secret, code.expose(), verifier];
            CallbackError::Exchange(ExchangeFailure::answered(error, &known))
        })?;
        let mut client = secrets.client.clone();
        if let Some(way) = authentication {
            way.as_str().clone_into(&mut client.auth_method);
        }
        let oauth = grounds.pattern.oauth_config.as_ref();
        if let Some(refresh_uri) = oauth.and_then(|oauth| oauth.refresh_uri.as_ref()) {
            client.token_uri.clone_from(refresh_uri);
        }
        let hook = grounds
            .pattern
            .oauth_config
            .as_ref()
            .and_then(|oauth| oauth.post_auth);
        let found = match hook {
            Some(hook) => {
                let found = self.account_values(hook, grounds, &tokens, parameters);
                match found.await {
                    Ok(found) => found,
                    Err(error) => {
                        // Nobody will use these tokens.
                        self.revoke_unused(grounds, &credential_of(&tokens, client));
                        return Err(error);
                    }
                }
            }
            None => Found::default(),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let consenter = self
            .provider_account(grounds, &found.any_place(), &tokens, left)
            .await;
        Ok(self.granted(grounds, flow, tokens, client, found, consenter))
    }

    async fn exchange_verifier(
        &self,
        grounds: &Grounds,
        flow: &FlowRow,
        secrets: &FlowSecrets,
        verifier: &oauth1::Verifier,
    ) -> Result<Granted> {
        let mut credential = self.finish_oauth1(grounds, secrets, verifier).await?;
        credential.scopes = asked_scopes(flow);
        credential.domain.clone_from(&grounds.credential.domain);
        Ok(Granted {
            credential,
            expires_at: None,
            account_values: Map::new(),
            consenter: None,
            question: None,
        })
    }

    fn granted(
        &self,
        grounds: &Grounds,
        flow: &FlowRow,
        tokens: TokenResponse,
        client: GrantClient,
        found: Found,
        consenter: Option<ProviderAccount>,
    ) -> Granted {
        let lifetime = tokens.expires_in.or_else(|| {
            grounds
                .connection
                .default_expires_in(Some(&grounds.pattern))
        });
        let domain = found.values.get("domain").and_then(Value::as_str);
        let mut credential = credential_of(&tokens, client);
        credential.scopes = tokens.scopes.unwrap_or_else(|| asked_scopes(flow));
        domain
            .unwrap_or(&grounds.credential.domain)
            .clone_into(&mut credential.domain);
        if let Some(consenter) = &consenter {
            credential.provider_subject.clone_from(&consenter.subject);
        }
        Granted {
            credential,
            expires_at: lifetime.map(|lifetime| self.ctx().clock.now().plus(lifetime)),
            account_values: found.values,
            consenter,
            question: found.question,
        }
    }
}

impl Grounds {
    /// SECURITY: stops mix-up attacks. Providers that do not name themselves are let through, since
    /// most do not; the callback's address is the connection's own anyway.
    fn is_foreign_issuer(&self, named: Option<&str>) -> bool {
        let oauth = self.pattern.oauth_config.as_ref();
        let expected = oauth.and_then(|oauth| oauth.issuer.as_deref());
        matches!((expected, named), (Some(expected), Some(named)) if expected != named)
    }
}

/// The tokens, and the client they were issued to.
fn credential_of(tokens: &TokenResponse, client: GrantClient) -> Credential {
    let mut credential = Credential::default();
    credential
        .access_token
        .clone_from(tokens.access_token.expose());
    if let Some(token) = &tokens.refresh_token {
        credential.refresh_token.clone_from(token.expose());
    }
    credential.client = Some(client);
    credential
}

fn asked_scopes(flow: &FlowRow) -> Vec<String> {
    serde_json::from_value(flow.scopes.clone()).unwrap_or_default()
}
