use crate::{Authorizer, Caller};
use keystead_identity::Site;
use keystead_types::{ErrorCode, Internal, Reason, Secret};
use std::net::IpAddr;

/// Everything a request brought to show who sent it.
#[derive(Clone, Default, Debug)]
pub struct Credentials {
    /// Every bearer token, in the order of the headers. One valid token is enough: the Python
    /// client sends its first one for ever beside the current one.
    pub bearers: Vec<Secret<String>>,
    /// Token of a dashboard session.
    pub session_cookie: Option<Secret<String>>,
    /// Token of a portal session.
    pub portal_cookie: Option<Secret<String>>,
    /// Domain of the environment that a dashboard member means (DB-025).
    pub env_domain: Option<String>,
    /// Address of the client behind trusted proxies.
    pub peer: Option<IpAddr>,
}

/// Why nobody was let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No credential was sent, or none is valid. The caller is not told which.
    #[error("the access token is missing, expired or not valid")]
    Unauthenticated,
    /// The client may not call the API.
    #[error("this client may not call the API")]
    ApiAccess,
    /// The client may not be used from this address.
    #[error("this client may not be used from this address")]
    Address,
    /// The environment named by the member is not one of its workspace.
    #[error("environment not found")]
    EnvironmentNotFound,
    /// Something broke on our side.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl Reason for AuthError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unauthenticated => ErrorCode::Unauthenticated,
            Self::ApiAccess | Self::Address => ErrorCode::PermissionDenied,
            Self::EnvironmentNotFound => ErrorCode::NotFound,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }
}

impl Authorizer {
    /// Turns credentials into a caller of the environment at `site`, or of another environment of
    /// the same workspace when a dashboard member names one.
    ///
    /// A request with a bearer is judged by its bearers alone: a browser's cookies must never add
    /// power to a token.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn authenticate(
        &self,
        site: &Site,
        credentials: &Credentials,
    ) -> Result<Caller, AuthError> {
        if !credentials.bearers.is_empty() {
            // The newest comes last; look there first.
            for token in credentials.bearers.iter().rev() {
                if let Some(caller) = self.bearer(site, token, credentials.peer).await? {
                    return Ok(caller);
                }
            }
            return Err(AuthError::Unauthenticated);
        }
        if let Some(token) = &credentials.session_cookie
            && let Some(caller) = self
                .member(site, token, credentials.env_domain.as_deref())
                .await?
        {
            return Ok(caller);
        }
        if let Some(token) = &credentials.portal_cookie
            && let Some(caller) = self.portal_visitor(site, token).await?
        {
            return Ok(caller);
        }
        Err(AuthError::Unauthenticated)
    }
}
