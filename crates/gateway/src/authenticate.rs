//! The outside boundaries of the pipeline: which environment a host is, and who a caller is.

use crate::contract::CallerKinds;
use futures_util::future::BoxFuture;
use keystead_types::{EnvironmentId, Internal, Secret};
use std::{collections::HashSet, num::NonZeroU32, sync::Arc};

/// The environment that a request came in for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// Requests per minute it may get; `None` for the default of the installation (DB-240).
    pub requests_per_minute: Option<NonZeroU32>,
}

/// Finds environments.
pub trait Environments: Send + Sync + 'static {
    /// The environment served at `host` (lower case, without port); `None` when there is none.
    fn by_host<'a>(&'a self, host: &'a str)
    -> BoxFuture<'a, Result<Option<Environment>, Internal>>;
}

/// Everything a request brought to show who sent it.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Every bearer token, in the order of the headers. One valid token is enough: a client
    /// library sends an outdated one beside the current one.
    pub bearers: Vec<Secret<String>>,
    /// Dashboard session, only when there is no bearer and the request is not cross-site.
    pub session_cookie: Option<Secret<String>>,
    /// Portal session, under the same conditions.
    pub portal_cookie: Option<Secret<String>>,
    /// Which environment a dashboard member means, when the host does not say it.
    pub environment_domain: Option<String>,
}

impl Credentials {
    /// Whether nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.bearers.is_empty() && self.session_cookie.is_none() && self.portal_cookie.is_none()
    }
}

/// A caller that was let in.
#[derive(Clone, Debug)]
pub struct Admission {
    /// One bit: what kind of caller this is.
    pub kind: CallerKinds,
    /// Where the call acts; differs from the host's environment only for dashboard members.
    pub environment: EnvironmentId,
    /// Stable name of the caller within the environment, for rate limits and logs. Not a secret.
    pub subject: String,
    /// What the caller may do, in the names of the contract.
    pub permissions: Arc<HashSet<String>>,
    /// Handed to the method in the request's extensions (the typed caller of `authz`).
    pub extensions: http::Extensions,
}

impl Admission {
    /// A caller without a credential.
    pub fn anonymous(environment: EnvironmentId) -> Self {
        Self {
            kind: CallerKinds::NONE,
            environment,
            subject: "anonymous".to_owned(),
            permissions: Arc::default(),
            extensions: http::Extensions::new(),
        }
    }
}

/// Why nobody was let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// No credential was valid. The caller is not told which, nor why.
    #[error("no valid credential")]
    Refused,
    /// It could not be checked.
    #[error(transparent)]
    Internal(#[from] Internal),
}

/// Recognises callers.
pub trait Authenticate: Send + Sync + 'static {
    /// Checks the credentials of a request to `environment`.
    fn authenticate<'a>(
        &'a self,
        environment: &'a Environment,
        credentials: &'a Credentials,
    ) -> BoxFuture<'a, Result<Admission, AuthenticateError>>;

    /// The caller of a method that needs no credential.
    fn anonymous(&self, environment: &Environment) -> Admission {
        Admission::anonymous(environment.id)
    }
}
