//! AWS federation (AK-229): the environment is an identity provider that a role trusts. Its token is
//! exchanged for a temporary key, and the key signs requests.

use super::mint::{AwsKey, MintError, MintInput, Minted};
use crate::{
    AgentKit, Error,
    accounts::Grounds,
    error::Result,
    template::{self, TemplateError, Values},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};
use keystead_jose::sign;
use keystead_net::Limits;
use keystead_oauth::{
    AssumeRole, AwsRequest, STS_LIFETIME_SECONDS, SigV4, amz_date, parse_sts_answer, payload_hash,
    session_name,
};
use keystead_types::{Internal, Secret};
use serde_json::json;
use std::time::Duration;

/// Audience of the identity token; what AWS suggests for its identity providers.
const AUDIENCE: &str = "sts.amazonaws.com";
/// The token is used at once.
const TOKEN_LIFETIME: i64 = 300;
/// Time for one exchange.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Service that takes a body without its hash.
const S3: &str = "s3";

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const CONTENT_HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");

impl AgentKit {
    /// Gets a temporary key for the role of the connection.
    pub(super) async fn assume_role(
        &self,
        input: &MintInput<'_>,
    ) -> std::result::Result<Minted, MintError> {
        let settings = input.pattern.aws.as_ref();
        let settings = settings.ok_or(MintError::Unsupported("AWS federation without settings"))?;
        // SECURITY: what the developer set for all wins, or a user could name a role of his own choice.
        let values = template::values_of(&[
            &input.credential.details,
            input.api_config,
            &input.connection.settings.static_config,
        ]);
        let role_arn = values.get("role_arn");
        let role_arn = role_arn.ok_or(MintError::Missing("role_arn"))?;
        let endpoint = sts_endpoint(&settings.sts_uri, &values, input)?;
        let (env, now) = (input.environment, self.ctx().clock.now());
        let site = self.ctx().site(env).await?;
        let issuer = site.ok_or(MintError::Missing("the environment"))?;
        let keys = self.ctx().signing_keys(env).await?;
        let id: String = self
            .ctx()
            .ids
            .next::<keystead_types::TokenId>(&*self.ctx().clock)
            .to_string();
        // A role trusts this issuer, audience and subject; so it can be for one connection alone.
        let claims = json!({
            "iss": issuer.base_url.as_str(),
            "aud": AUDIENCE,
            "sub": input.connection.id.to_string(),
            "iat": now.as_secs(),
            "exp": now.as_secs() + TOKEN_LIFETIME,
            "jti": id,
        });
        // An RSA signature takes about a millisecond.
        let signed = tokio::task::spawn_blocking(move || sign(&keys.active, "JWT", &claims));
        let signed = signed
            .await
            .map_err(|_| MintError::Interrupted("signing the token"))?;
        let token = Secret::new(signed.map_err(Internal::new)?);
        let user = input.credential.detail("db_user");
        let form = AssumeRole {
            role_arn,
            session_name: &session_name(user),
            token: &token,
        }
        .body();
        let request = Request::post(endpoint)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "text/xml")
            .body(Bytes::from(form.expose().clone()))
            .map_err(Internal::new)?;
        let limits = Limits {
            timeout: EXCHANGE_TIMEOUT,
            ..Limits::DOCUMENT
        };
        let answer = self.http().fetch_within(request, limits).await?;
        let key = parse_sts_answer(answer.status().as_u16(), answer.body())?;
        let lifetime = Duration::from_secs(u64::from(STS_LIFETIME_SECONDS));
        Ok(Minted {
            access_token: key.session_token,
            // Counted from before the question, so never later than AWS counts.
            expires_at: Some(now.plus(lifetime)),
            scopes: None,
            aws_key: Some(AwsKey {
                id: key.access_key_id,
                secret: key.secret_access_key,
            }),
            account_values: serde_json::Map::new(),
        })
    }

    /// Signs a request with the temporary key.
    pub(super) fn sign_aws<B>(
        &self,
        grounds: &Grounds,
        request: &mut Request<B>,
        body: Option<&[u8]>,
    ) -> Result<()> {
        let credential = &grounds.credential;
        let missing = |name: &str| Error::field(name, "has no value on the connected account");
        let settings = grounds.pattern.aws.as_ref().ok_or_else(|| missing("aws"))?;
        if credential.access_key_id.is_empty() || credential.token_secret.is_empty() {
            return Err(missing("access_key_id"));
        }
        // The same region as in the URL comes first: a signature is for one host.
        let mut values = template::values_of(&[&grounds.connection.settings.static_config]);
        values.extend(grounds.template_values().clone());
        let region = values.get("region").ok_or_else(|| missing("region"))?;
        let payload = match body {
            Some(body) => payload_hash(body),
            None if settings.service == S3 => "UNSIGNED-PAYLOAD".to_owned(),
            None => {
                return Err(Error::field(
                    "body",
                    "is too large to be signed; this service takes no unsigned bodies",
                ));
            }
        };
        let date = amz_date(self.ctx().clock.now());
        let headers = request.headers_mut();
        let mut put = |name: HeaderName, text: &str, secret: bool| {
            let mut value = HeaderValue::try_from(text)
                .map_err(|_| Error::field(name.as_str(), "cannot be sent in a header"))?;
            value.set_sensitive(secret);
            headers.insert(name, value);
            Ok::<(), Error>(())
        };
        put(DATE, &date, false)?;
        put(TOKEN, &credential.access_token, true)?;
        put(CONTENT_HASH, &payload, false)?;
        let uri = request.uri().clone();
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let mut signed = vec![("host", host)];
        for (name, value) in request.headers() {
            let name = name.as_str();
            if name == "content-type" || name.starts_with("x-amz-") {
                let text = value
                    .to_str()
                    .map_err(|_| Error::field(name, "holds characters that cannot be signed"))?;
                signed.push((name, text));
            }
        }
        let secret = Secret::new(credential.token_secret.clone());
        let signer = SigV4 {
            access_key_id: &credential.access_key_id,
            secret: &secret,
            region,
            service: &settings.service,
        };
        let unsigned = AwsRequest {
            method: request.method().as_str(),
            path: uri.path(),
            query: uri.query().unwrap_or(""),
            headers: &signed,
            payload: &payload,
        };
        let value = signer.authorization(&unsigned, &date);
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| Error::field("access_key_id", "cannot be sent in a header"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
        Ok(())
    }
}

/// Where the role is assumed.
fn sts_endpoint(
    template: &str,
    values: &Values,
    input: &MintInput<'_>,
) -> std::result::Result<String, MintError> {
    let endpoint = template::fill_url(template, values)?;
    let url = url::Url::parse(&endpoint).map_err(|_| TemplateError::NotAUrl)?;
    let host = url.host_str().ok_or(TemplateError::NotAUrl)?;
    // SECURITY: an account's own value may fill the host; the token must stay with AWS (AK-471).
    let allowed = &input.pattern.allowed_proxy_domains;
    if template.contains("{{") && !template::host_allowed(host, allowed) {
        return Err(TemplateError::HostNotAllowed(host.to_owned()).into());
    }
    Ok(endpoint)
}
