//! OAuth 1.0a and 2.0 messages: parse, validate, build; sans-I/O.
//!
//! The client side of RFC 6749, 7636, 7523 and 5849, with the liberties that real providers take.
//! Nothing here sends a request or reads a clock: callers send what is built here through their
//! own guarded client and hand back the answer.
//!
//! ```
//! use keystead_oauth::{AuthorizeRequest, Scopes, parse_token_response, Answer, TokenPaths};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let request = AuthorizeRequest {
//!     endpoint: "https://provider.test/authorize",
//!     client_id: "client",
//!     redirect_uri: "https://id.test/callback",
//!     state: "3q2-7w",
//!     scopes: Scopes { values: &["mail.read".into()], ..Scopes::default() },
//!     optional_scopes: None,
//!     challenge: None,
//!     extra: &[("access_type".into(), "offline".into())],
//! };
//! assert!(request.url()?.as_str().ends_with("&scope=mail.read&access_type=offline"));
//!
//! let body = br#"{"access_token": "at", "expires_in": "3600"}"#;
//! let answer = Answer { status: 200, content_type: Some("application/json"), body };
//! let tokens = parse_token_response(&answer, &TokenPaths::default())?;
//! assert_eq!(tokens.expires_in, Some(std::time::Duration::from_secs(3600)));
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod assertion;
mod authorize;
mod callback;
mod custom_jwt;
mod document;
mod encode;
mod failure;
pub mod oauth1;
mod pkce;
mod sigv4;
mod sts;
mod token_request;
mod token_response;

pub use assertion::{Assertion, AssertionError, ServiceAccount, snowflake_key_pair_jwt};
pub use authorize::{AuthorizeError, AuthorizeRequest, Scopes};
pub use callback::{Callback, CallbackError, Denial};
pub use custom_jwt::{CustomJwt, custom_signer};
pub use document::{Answer, BodyProblem};
pub use failure::{FailureKind, TokenFailure};
pub use pkce::{CodeVerifier, challenge};
pub use sigv4::{AwsRequest, SigV4, amz_date, payload_hash};
pub use sts::{
    AssumeRole, AwsCredentials, STS_LIFETIME_SECONDS, StsError, parse_sts_answer, session_name,
};
pub use token_request::{
    Client, ClientAuthentication, FORM_CONTENT_TYPE, Grant, TokenRequest, UnknownAuthentication,
};
pub use token_response::{TokenPaths, TokenResponse, parse_refresh_response, parse_token_response};
