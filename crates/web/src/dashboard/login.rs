//! What the dashboard needs from the domain to sign members in.

use keystead_types::{Internal, Secret};
use std::{net::IpAddr, time::Duration};

/// Password-less sign-in of workspace members: a code by e-mail.
#[tonic::async_trait]
pub trait DashboardLogin: Send + Sync {
    /// Sends a code to the address if it is a member's. The answer is the same when it is not:
    /// the attempt, which this browser alone holds and which [`Self::finish`] takes.
    ///
    /// # Errors
    /// [`LoginError::WrongCode`] for a text that is no e-mail address,
    /// [`LoginError::TooManyRequests`], [`LoginError::Internal`].
    async fn start(&self, email: &str, visitor: &Visitor) -> Result<Secret<String>, LoginError>;

    /// Checks the code, which works once, and begins a session.
    ///
    /// # Errors
    /// [`LoginError::WrongCode`] for a code that is wrong, expired or used,
    /// [`LoginError::TooManyRequests`], [`LoginError::Internal`].
    async fn finish(
        &self,
        attempt: &Secret<String>,
        code: &str,
        visitor: &Visitor,
    ) -> Result<Session, LoginError>;

    /// Who holds a session; `None` when it is unknown or over.
    ///
    /// # Errors
    /// When the session cannot be looked up.
    async fn member(&self, session: &Secret<String>) -> Result<Option<SignedIn>, Internal>;

    /// Ends a session. Ending one that is over is no error.
    ///
    /// # Errors
    /// When the session cannot be ended.
    async fn sign_out(&self, session: &Secret<String>) -> Result<(), Internal>;
}

/// Who asks for a code or tries one, for limits.
#[derive(Clone, Default, Debug)]
pub struct Visitor {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// [`Session::device`] of an earlier sign-in with this browser.
    pub device: Option<Secret<String>>,
}

/// A session that was begun.
#[derive(Clone, Debug)]
pub struct Session {
    /// For the session cookie.
    pub token: Secret<String>,
    /// For a cookie that stays, so that strangers' tries do not count for this browser.
    pub device: Secret<String>,
}

/// A signed-in member.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The member's address.
    pub email: String,
    /// Name of the workspace.
    pub workspace: String,
    /// The member's role only reads: pages show no button that would be refused.
    pub reads_only: bool,
}

/// Why a member cannot sign in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The code is wrong, expired or used. The visitor must not learn which.
    #[error("the code is not right")]
    WrongCode,
    /// Too many codes or tries; holds how long to wait.
    #[error("too many requests")]
    TooManyRequests(Duration),
    /// Something of ours failed; the cause is logged, not shown.
    #[error(transparent)]
    Internal(#[from] Internal),
}
