//! Access tokens: issuing, verifying, discovery. Dashboard sign-in and sessions.
//!
//! [`Authorizer`] is the one entry point: [`Authorizer::token`] answers the token endpoint,
//! [`Authorizer::authenticate`] turns credentials into a [`Caller`], [`Authorizer::start_login`] and
//! [`Authorizer::finish_login`] sign a dashboard member in. A [`Caller`] can be made nowhere else.
//!
//! Nothing here knows HTTP: header values and form bodies come in as text and bytes.

#![forbid(unsafe_code)]

mod authenticate;
mod authorizer;
mod bearer;
mod caller;
mod device;
mod discovery;
mod login;
mod login_limits;
mod oauth_error;
pub mod permissions;
mod portal;
mod sessions;
mod sign_in_audit;
mod token;
mod token_request;
mod uses;

pub use authenticate::{AuthError, Credentials};
pub use authorizer::{Authorizer, Jwks};
pub use caller::{Caller, CallerKind, Denied, Subject};
pub use device::{DEVICE_LIFETIME, Visitor};
pub use discovery::{Metadata, OIDC_SCOPES, metadata};
pub use login::{LoginError, SignedIn, StartedLogin};
pub use login_limits::UnlockError;
pub use oauth_error::OauthError;
pub use permissions::Permissions;
pub use portal::PORTAL_SESSION_LIFETIME;
pub use sessions::{SESSION_IDLE, SESSION_LIFETIME};
pub use token::{TokenEndpointRequest, TokenResponse};
pub use token_request::MAX_TOKEN_REQUEST_BYTES;
