//! The token vault: sealed credentials, and the only code that refreshes them.

mod aws;
mod background;
mod credential;
mod exchange;
mod flights;
mod headers;
mod mint;
mod refresh;
mod refresh_outcome;
mod seal;
mod signing;
mod tableau;

pub use credential::{Credential, GrantClient, StoredCredential};
pub(crate) use exchange::{ExchangeError, TokenCall};
pub(crate) use flights::Flights;
pub(crate) use headers::{
    CredentialHeader, MissingValue, credential_headers, credential_parameter,
};
pub use refresh::Force;
pub(crate) use seal::Sealed;

/// Whether a status says that the credential is no good, so that asking again cannot help. Others of
/// its class come from firewalls and maintenance pages too.
const fn refused_status(status: u16) -> bool {
    matches!(status, 400 | 401)
}
