//! The pipeline's boundary to `authz`: which environment a host is, and who a caller is.

use crate::{contract::CallerKinds, request_id::RequestId};
use futures_util::future::{BoxFuture, FutureExt, TryFutureExt};
use keystead_authz::{AuthError, Authorizer, Caller, Credentials};
use keystead_identity::environments::Site;
use keystead_types::{EnvironmentId, Internal};
use std::{collections::HashSet, fmt, sync::Arc};

/// Recognises environments and callers.
pub trait Authenticate: Send + Sync + 'static {
    /// The environment served at `host`; `None` when there is none.
    fn site<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Option<Arc<Site>>, Internal>>;

    /// Checks the credentials of a request.
    fn authenticate<'a>(
        &'a self,
        site: &'a Site,
        credentials: &'a Credentials,
        request_id: &'a RequestId,
    ) -> BoxFuture<'a, Result<Admission, AuthError>>;

    /// The caller of a method that needs no credential.
    fn anonymous(&self, site: &Site, request_id: &RequestId) -> Admission;
}

/// What a caller may do, in the names of the contract.
#[derive(Clone)]
pub struct Held(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held(…)")
    }
}

impl Held {
    /// By a function that knows the permissions held.
    pub fn by(holds: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(holds))
    }

    /// Exactly these.
    pub fn these(names: impl IntoIterator<Item = String>) -> Self {
        let names: HashSet<String> = names.into_iter().collect();
        Self::by(move |name| names.contains(name))
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        (self.0)(name)
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
    /// What the caller may do.
    pub permissions: Held,
    /// Handed to the method in the request's extensions: the [`Caller`].
    pub extensions: http::Extensions,
}

impl From<Caller> for Admission {
    fn from(caller: Caller) -> Self {
        let permissions = caller.permissions();
        let mut extensions = http::Extensions::new();
        let admission = Self {
            kind: CallerKinds::from_bits(caller.kind().bit()),
            environment: caller.env(),
            subject: caller.name(),
            permissions: Held::by(move |name| permissions.contains(name)),
            extensions: http::Extensions::new(),
        };
        extensions.insert(caller);
        Self {
            extensions,
            ..admission
        }
    }
}

impl Authenticate for Authorizer {
    fn site<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Option<Arc<Site>>, Internal>> {
        self.context().site_by_host(host).boxed()
    }

    fn authenticate<'a>(
        &'a self,
        site: &'a Site,
        credentials: &'a Credentials,
        request_id: &'a RequestId,
    ) -> BoxFuture<'a, Result<Admission, AuthError>> {
        Authorizer::authenticate(self, site, credentials)
            .map_ok(|caller| caller.with_request_id(request_id.0.clone()).into())
            .boxed()
    }

    fn anonymous(&self, site: &Site, request_id: &RequestId) -> Admission {
        let caller = Caller::anonymous(site.environment.id, site.environment.workspace);
        caller.with_request_id(request_id.0.clone()).into()
    }
}
