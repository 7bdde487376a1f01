//! The token endpoint, the key set and the discovery documents.

use super::{Endpoints, json, not_allowed, refused};
use crate::{Peer, answer::public};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use keystead_authz::{MAX_TOKEN_REQUEST_BYTES, OauthError, TokenEndpointRequest, metadata};
use tonic::body::Body;

impl Endpoints {
    /// `POST /oauth/token` (RFC 6749 section 3.2).
    pub(super) async fn token(&self, request: Request<Body>) -> Response<Body> {
        if request.method() != Method::POST {
            return not_allowed("POST");
        }
        let (parts, body) = request.into_parts();
        let id = self.request_id(&parts);
        let site = match self.site(&parts).await {
            Ok(site) => site,
            Err(failure) => return refused(failure, &id),
        };
        let body = match Limited::new(body, MAX_TOKEN_REQUEST_BYTES).collect().await {
            Ok(body) => body,
            Err(error) if error.is::<LengthLimitError>() => {
                return oauth_error(&OauthError::body_too_large());
            }
            Err(_) => {
                return oauth_error(&OauthError::invalid_request("the body broke off"));
            }
        };
        let body = body.to_bytes();
        let authorization: Vec<&str> = parts
            .headers
            .get_all(header::AUTHORIZATION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        let asked = TokenEndpointRequest {
            content_type: parts
                .headers
                .get(header::CONTENT_TYPE)
                .and_then(|value| value.to_str().ok()),
            authorization: &authorization,
            body: &body,
            peer: parts.extensions.get::<Peer>().map(|peer| peer.address),
        };
        match self.authorizer.token(&site, asked).await {
            Ok(tokens) => {
                let mut response = json(StatusCode::OK, tokens.body().expose().clone());
                response
                    .headers_mut()
                    .insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
                response
            }
            Err(error) => oauth_error(&error),
        }
    }

    /// `GET /keys`: the public keys that verify this environment's tokens.
    pub(super) async fn keys(&self, request: Request<Body>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return not_allowed("GET, HEAD");
        }
        let (parts, _) = request.into_parts();
        let id = self.request_id(&parts);
        let site = match self.site(&parts).await {
            Ok(site) => site,
            Err(failure) => return refused(failure, &id),
        };
        match self.authorizer.jwks(site.environment.id).await {
            Err(error) => refused(crate::pipeline::internal(error), &id),
            Ok(jwks) => {
                let known = parts
                    .headers
                    .get(header::IF_NONE_MATCH)
                    .and_then(|value| value.to_str().ok());
                let mut response = public(if known == Some(jwks.etag.as_str()) {
                    json(StatusCode::NOT_MODIFIED, "")
                } else {
                    json(StatusCode::OK, jwks.json)
                });
                if let Ok(etag) = HeaderValue::try_from(&jwks.etag) {
                    response.headers_mut().insert(header::ETAG, etag);
                }
                response
            }
        }
    }

    /// The discovery documents.
    pub(super) async fn metadata(&self, request: Request<Body>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return not_allowed("GET, HEAD");
        }
        let (parts, _) = request.into_parts();
        let id = self.request_id(&parts);
        match self.site(&parts).await {
            Err(failure) => refused(failure, &id),
            Ok(site) => {
                let document = serde_json::to_vec(&metadata(&site.base_url)).unwrap_or_default();
                public(json(StatusCode::OK, document))
            }
        }
    }
}

fn oauth_error(error: &OauthError) -> Response<Body> {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = json(status, error.body());
    if let Some(challenge) = error.www_authenticate()
        && let Ok(value) = HeaderValue::try_from(challenge)
    {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, value);
    }
    if let Some(seconds) = error.retry_after_seconds() {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
