//! Access tokens made from a long-term credential: service accounts, delegation, key pairs,
//! client credentials, signed JWTs (AK-228), sessions.

use super::{Credential, ExchangeError, GrantClient, TokenCall};
use crate::{
    AgentKit,
    connections::Connection,
    providers::{AuthKind, AuthPattern},
    template::{self, TemplateError, Values},
};
use keystead_net::FetchError;
use keystead_oauth::{
    Assertion, AssertionError, CustomJwt, Grant, ServiceAccount, StsError, TokenPaths,
    custom_signer, snowflake_key_pair_jwt,
};
use keystead_types::{EnvironmentId, Internal, Secret, Timestamp};
use serde_json::Map;
use std::time::Duration;

/// Where Google takes assertions when nothing else is configured (AK-125).
const GOOGLE_TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// Time for one exchange.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// A fresh access token.
pub(crate) struct Minted {
    pub(crate) access_token: Secret<String>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scopes: Option<Vec<String>>,
    /// The key that belongs to the access token, where AWS made it.
    pub(crate) aws_key: Option<AwsKey>,
    /// Settings of the account that came with it (AK-013).
    pub(crate) account_values: Map<String, serde_json::Value>,
}

/// A signed token that is used as it is.
impl From<Assertion> for Minted {
    fn from(signed: Assertion) -> Self {
        Self {
            access_token: signed.token,
            expires_at: Some(signed.expires_at),
            scopes: None,
            aws_key: None,
            account_values: Map::new(),
        }
    }
}

/// A temporary access key of AWS; its session token is the access token.
pub(crate) struct AwsKey {
    pub(crate) id: String,
    pub(crate) secret: Secret<String>,
}

/// Why no token could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MintError {
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error(transparent)]
    Assertion(#[from] AssertionError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Sts(#[from] StsError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Internal(#[from] Internal),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} was interrupted")]
    Interrupted(&'static str),
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    #[error("{0}")]
    Target(String),
    #[error("the provider refused the {what} with HTTP {status}")]
    Refused { what: &'static str, status: u16 },
    #[error("the provider answered the {what} with HTTP {status}")]
    Unavailable { what: &'static str, status: u16 },
    #[error("the provider's answer to the {0} cannot be read")]
    Unreadable(&'static str),
}

impl MintError {
    /// Asking again cannot help: the stored credential is wrong or was refused.
    pub(crate) fn is_definitive(&self) -> bool {
        match self {
            Self::Exchange(error) => error.is_definitive(),
            Self::Sts(error) => matches!(error, StsError::Refused(_)),
            // A setting is corrected, a name resolves again: the credential is as good as it was.
            Self::Fetch(_)
            | Self::Template(_)
            | Self::Target(_)
            | Self::Interrupted(_)
            | Self::Internal(_)
            | Self::Unavailable { .. }
            | Self::Unreadable(_) => false,
            _ => true,
        }
    }
}

/// What a token is made from.
pub(crate) struct MintInput<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) pattern: &'a AuthPattern,
    pub(crate) credential: &'a Credential,
    pub(crate) environment: EnvironmentId,
    pub(crate) api_config: &'a Map<String, serde_json::Value>,
    pub(crate) scopes: &'a [String],
    /// Base URL template of the account, and what fills it.
    pub(crate) base_url: &'a str,
    pub(crate) values: &'a Values,
}

impl AgentKit {
    /// Makes an access token.
    pub(crate) async fn mint(&self, input: &MintInput<'_>) -> Result<Minted, MintError> {
        match input.connection.kind {
            AuthKind::ServiceAccount => {
                let key = text_or_json(input.credential, "service_account_json");
                self.google(input, &key, None).await
            }
            AuthKind::GoogleDwd => {
                let key = Secret::new(input.connection.secrets.service_account_json.clone());
                self.google(input, &key, Some(&input.credential.subject))
                    .await
            }
            AuthKind::OauthM2m => self.client_credentials(input).await,
            AuthKind::KeyPair => self.key_pair(input).await,
            AuthKind::CustomJwt => self.custom_jwt(input).await,
            AuthKind::TrustedIdp => self.assume_role(input).await,
            _ if input.pattern.signs_in() => self.tableau_session(input).await,
            _ => Err(MintError::Unsupported(
                "minting for this kind of connection",
            )),
        }
    }

    async fn google(
        &self,
        input: &MintInput<'_>,
        key_file: &Secret<String>,
        subject: Option<&str>,
    ) -> Result<Minted, MintError> {
        let account = ServiceAccount::parse(key_file)?;
        let delegation = input.connection.settings.google_dwd.as_ref();
        let endpoint = delegation
            .and_then(|settings| settings.token_uri.as_deref())
            .filter(|uri| !uri.is_empty())
            .or_else(|| input.connection.token_uri(Some(input.pattern)))
            .unwrap_or(GOOGLE_TOKEN_URI);
        let assertion =
            account.assertion(endpoint, input.scopes, subject, self.ctx().clock.now())?;
        self.ask(
            &input.connection.provider_key,
            endpoint,
            None,
            Grant::JwtBearer {
                assertion: &assertion.token,
            },
        )
        .await
    }

    async fn client_credentials(&self, input: &MintInput<'_>) -> Result<Minted, MintError> {
        let template = input
            .connection
            .token_uri(Some(input.pattern))
            .ok_or(MintError::Missing("token_uri"))?;
        let values = template::values_of(&[&input.credential.details, input.api_config]);
        let endpoint = template::fill_url(template, &values)?;
        let host = url::Url::parse(&endpoint)
            .ok()
            .and_then(|url| url.host_str().map(ToOwned::to_owned))
            .ok_or(TemplateError::NotAUrl)?;
        // SECURITY: the account's own values may fill the host; its secret must stay with the
        // provider's hosts (AK-471).
        let allowed = &input.pattern.allowed_proxy_domains;
        if template.contains("{{") && !template::host_allowed(&host, allowed) {
            return Err(TemplateError::HostNotAllowed(host).into());
        }
        let client = GrantClient {
            client_id: input.credential.detail("client_id").to_owned(),
            client_secret: input.credential.detail("client_secret").to_owned(),
            token_uri: endpoint.clone(),
            auth_method: input.connection.auth_method(Some(input.pattern)).to_owned(),
        };
        if client.client_id.is_empty() {
            return Err(MintError::Missing("client_id"));
        }
        let scope = input.scopes.join(" ");
        self.ask(
            &input.connection.provider_key,
            &endpoint,
            Some(&client),
            Grant::ClientCredentials { scope: &scope },
        )
        .await
    }

    async fn key_pair(&self, input: &MintInput<'_>) -> Result<Minted, MintError> {
        let detail = |name: &str| input.credential.detail(name).to_owned();
        let (account, user) = (detail("account"), detail("user"));
        let key = Secret::new(detail("private_key"));
        let passphrase = Secret::new(detail("private_key_passphrase"));
        let now = self.ctx().clock.now();
        // An encrypted key says itself how much work opening it is; calls must not wait for that.
        let signed = tokio::task::spawn_blocking(move || {
            snowflake_key_pair_jwt(&account, &user, &key, &passphrase, now)
        });
        let assertion = signed
            .await
            .map_err(|_| MintError::Interrupted("signing the token"))??;
        Ok(assertion.into())
    }

    /// The token is its own credential: nobody is asked for another one.
    async fn custom_jwt(&self, input: &MintInput<'_>) -> Result<Minted, MintError> {
        let settings = input.pattern.jwt.clone();
        let settings = settings.ok_or(MintError::Unsupported("a custom JWT without a template"))?;
        let key = Secret::new(input.credential.detail(&settings.key_field).to_owned());
        let mut fields = template::values_of(&[&input.credential.details, input.api_config]);
        // SECURITY: a claim can be read by anybody, so no template may put the key into one.
        fields.remove(&settings.key_field);
        let key_id = settings
            .key_id_field
            .as_ref()
            .and_then(|field| fields.get(field).cloned());
        let now = self.ctx().clock.now();
        // An RSA signature takes about a millisecond, and the key has to be read before.
        let signed = tokio::task::spawn_blocking(move || {
            let signer = custom_signer(&settings.algorithm, &key, key_id)?;
            let jwt = CustomJwt {
                claims: &settings.claims,
                fields: &fields,
                lifetime: Duration::from_secs(settings.lifetime),
            };
            jwt.assertion(&*signer, now)
        });
        let assertion = signed
            .await
            .map_err(|_| MintError::Interrupted("signing the token"))??;
        Ok(assertion.into())
    }

    async fn ask(
        &self,
        provider: &str,
        endpoint: &str,
        client: Option<&GrantClient>,
        grant: Grant<'_>,
    ) -> Result<Minted, MintError> {
        let call = TokenCall {
            client,
            provider,
            endpoint,
            grant,
            paths: &TokenPaths::default(),
            extra: &[],
            timeout: EXCHANGE_TIMEOUT,
        };
        let (tokens, _) = self.exchange(&call).await?;
        let now = self.ctx().clock.now();
        Ok(Minted {
            expires_at: tokens.expires_in.map(|lifetime| now.plus(lifetime)),
            scopes: tokens.scopes,
            aws_key: None,
            account_values: Map::new(),
            access_token: tokens.access_token,
        })
    }
}

/// A detail that may have been sent as text or as an object.
fn text_or_json(credential: &Credential, name: &str) -> Secret<String> {
    Secret::new(match credential.details.get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    })
}
