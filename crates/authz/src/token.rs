use crate::{Authorizer, OIDC_SCOPES, OauthError, token_request};
use keystead_crypto::TokenHash;
use keystead_identity::{
    Site,
    clients::{Client, ClientSecret, ClientType, DEFAULT_TOKEN_SECONDS, SECRET_PURPOSE},
};
use keystead_types::{ClientId, EnvironmentId, Internal, Secret, Timestamp, TokenId};
use moka::sync::Cache;
use serde::Serialize;
use serde_json::{Map, Value};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// A request to the token endpoint as it came in.
#[derive(Clone, Copy, Debug)]
pub struct TokenEndpointRequest<'a> {
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// Every `Authorization` header.
    pub authorization: &'a [&'a str],
    /// The body.
    pub body: &'a [u8],
    /// Address of the client behind trusted proxies.
    pub peer: Option<IpAddr>,
}

/// The answer of the token endpoint (MC-150). Send it with `Cache-Control: no-store` (MC-151).
#[derive(Clone, Debug)]
pub struct TokenResponse {
    /// The token.
    pub access_token: Secret<String>,
    /// Remaining life in seconds.
    pub expires_in: i64,
    /// Scopes it has, separated by spaces.
    pub scope: String,
}

impl TokenResponse {
    /// The JSON body.
    pub fn body(&self) -> Secret<String> {
        #[derive(Serialize)]
        struct Body<'a> {
            access_token: &'a str,
            token_type: &'a str,
            expires_in: i64,
            scope: &'a str,
        }
        let body = Body {
            access_token: self.access_token.expose(),
            token_type: "Bearer",
            expires_in: self.expires_in,
            scope: &self.scope,
        };
        Secret::new(serde_json::to_string(&body).unwrap_or_default())
    }
}

/// Claims of an access token of a client (MC-172).
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those on the wire")]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    client_id: &'a str,
    aud: [&'a str; 1],
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    // Both spellings: some client libraries read only one (MC-171).
    scope: &'a str,
    scopes: &'a [String],
    /// Which secret paid for the token, so that it dies with the secret (DB 3.5).
    secret_id: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    custom_claims: Map<String, Value>,
}

/// Wrong secrets per client within a minute before further wrong ones are told to wait (MC 4.4).
const MAX_FAILURES: u32 = 20;
const FAILURE_WINDOW: Duration = Duration::from_secs(60);

/// Failed attempts of each client within the last minute.
//
// SECURITY: by id, never by the text that was sent: nobody has to sign in to send one of 64 KiB.
#[derive(Debug)]
pub(crate) struct FailedAttempts(Cache<(EnvironmentId, ClientId), Arc<AtomicU32>>);

impl Default for FailedAttempts {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(10_000)
                .time_to_live(FAILURE_WINDOW)
                .build(),
        )
    }
}

impl FailedAttempts {
    /// Counts one and tells whether there were too many.
    fn count(&self, env: EnvironmentId, client: ClientId) -> bool {
        let failures = self.0.get_with((env, client), Arc::default);
        failures.fetch_add(1, Ordering::Relaxed) >= MAX_FAILURES
    }
}

impl Authorizer {
    /// Answers the token endpoint of an environment: the `client_credentials` grant (MC-280).
    ///
    /// Costs one signature, and when the client is in memory no query; it never writes.
    ///
    /// # Errors
    /// [`OauthError`], as MC 4.2 lists them.
    pub async fn token(
        &self,
        site: &Site,
        request: TokenEndpointRequest<'_>,
    ) -> Result<TokenResponse, OauthError> {
        let form = "application/x-www-form-urlencoded";
        let is_form = request.content_type.is_some_and(|value| {
            value
                .split(';')
                .next()
                .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(form))
        });
        if !is_form {
            return Err(OauthError::invalid_request(
                "the body must be application/x-www-form-urlencoded",
            ));
        }
        let asked = token_request::parse(request.body, request.authorization)?;
        let env = site.environment.id;
        let now = self.ctx.clock.now();

        // What no client can be called is not counted: there is nothing to guess.
        let id = asked.client_id.parse::<ClientId>().ok();
        let client = match id {
            Some(id) => self.ctx.cached_client(env, id).await?,
            None => None,
        };
        let secret = self.matching_secret(client.as_deref(), &asked.secrets, now);
        let (Some(client), Some(secret)) = (client, secret) else {
            return Err(if id.is_some_and(|id| self.failures.count(env, id)) {
                OauthError::too_many_failures(FAILURE_WINDOW)
            } else {
                OauthError::invalid_client(asked.method)
            });
        };
        // Its tokens would open nothing (LG-071).
        if !may_use_client_credentials(&client) || client.row.disallow_api_access {
            return Err(OauthError::unauthorized_client());
        }
        if !client.settings.ip_allowlist.allows(request.peer) {
            return Err(OauthError::access_denied());
        }
        if asked
            .audience
            .is_some_and(|audience| audience != site.base_url)
        {
            return Err(OauthError::invalid_target());
        }
        let scopes = granted(&client, asked.scopes)?;
        let response = self.issue(site, &client, &secret, &scopes, now).await?;
        self.uses.secret(env, secret.id, now);
        Ok(response)
    }

    /// The usable secret that one of the texts is.
    ///
    // SECURITY: as much is hashed and compared for an unknown client as for a known one with one
    // secret, and the comparison takes constant time.
    fn matching_secret(
        &self,
        client: Option<&Client>,
        texts: &[Secret<String>],
        now: Timestamp,
    ) -> Option<ClientSecret> {
        let mut found = None;
        for text in texts {
            let hash = self.ctx.keys.hasher.hash(SECRET_PURPOSE, text.expose());
            let secrets = client.map_or(&[][..], |client| &client.secrets);
            for secret in secrets {
                let same = TokenHash::from_bytes(&secret.hash).is_some_and(|stored| stored == hash);
                if same && secret.is_usable(now) {
                    found = Some(secret.clone());
                }
            }
        }
        found
    }

    async fn issue(
        &self,
        site: &Site,
        client: &Client,
        secret: &ClientSecret,
        scopes: &[String],
        now: Timestamp,
    ) -> Result<TokenResponse, Internal> {
        let keys = self.ctx.signing_keys(site.environment.id).await?;
        let expires_in = client
            .row
            .access_token_expiry
            .unwrap_or(DEFAULT_TOKEN_SECONDS);
        let (id, scope) = (client.row.id.to_string(), scopes.join(" "));
        let custom_claims = client.settings.custom_claims.iter();
        let claims = Claims {
            iss: &site.base_url,
            sub: &id,
            client_id: &id,
            aud: [&site.base_url],
            iat: now.as_secs(),
            nbf: now.as_secs(),
            exp: now.as_secs().saturating_add(expires_in),
            jti: self.ctx.ids.next::<TokenId>(&*self.ctx.clock).to_string(),
            scope: &scope,
            scopes,
            secret_id: secret.id.to_string(),
            custom_claims: custom_claims
                .map(|(key, value)| (key.clone(), Value::from(value.clone())))
                .collect(),
        };
        let token = keystead_jose::sign(&keys.active, "JWT", &claims).map_err(Internal::new)?;
        Ok(TokenResponse {
            access_token: Secret::new(token),
            expires_in,
            scope,
        })
    }
}

fn may_use_client_credentials(client: &Client) -> bool {
    let confidential = matches!(
        client.row.kind,
        ClientType::Environment | ClientType::WebApp
    );
    let grants = &client.settings.grant_types;
    confidential && (grants.is_empty() || grants.iter().any(|grant| grant == "client_credentials"))
}

/// The scopes of the token: those asked for, or all of the client's (MC-266, LG-070).
fn granted(client: &Client, asked: Vec<String>) -> Result<Vec<String>, OauthError> {
    let own = &client.settings.scopes;
    if asked.is_empty() {
        return Ok(if own.is_empty() {
            vec!["openid".to_owned()]
        } else {
            own.clone()
        });
    }
    let refused = asked
        .iter()
        .find(|scope| !own.contains(scope) && !OIDC_SCOPES.contains(&scope.as_str()));
    match refused {
        Some(scope) => Err(OauthError::invalid_scope(scope)),
        None => Ok(asked),
    }
}
