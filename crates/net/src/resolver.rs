use crate::{Policy, error::ConnectError};
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// Turns host names into addresses.
pub trait Resolver: Send + Sync + fmt::Debug {
    /// All addresses of `host`, in order of preference.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Gives the connector only addresses the policy permits.
///
/// SECURITY: the check sits between resolution and `connect`, so a name that changes its answer
/// after a first look (DNS rebinding) gains nothing.
#[derive(Clone, Debug)]
pub(crate) struct GuardedResolver {
    pub(crate) inner: Arc<dyn Resolver>,
    pub(crate) policy: Arc<Policy>,
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Self::Response, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { inner, policy } = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found = inner
                .resolve(host)
                .await
                .map_err(|error| ConnectError::Dns(error.into()))?;
            let mut refused = None;
            let mut permitted = Vec::with_capacity(found.len());
            for address in found {
                match policy.check(host, address) {
                    // The connector fills in the port.
                    Ok(()) => permitted.push(SocketAddr::new(address, 0)),
                    Err(why) => refused = Some(why),
                }
            }
            match refused {
                Some(why) if permitted.is_empty() => Err(ConnectError::Blocked(why)),
                None if permitted.is_empty() => {
                    Err(ConnectError::Dns("the name has no address".into()))
                }
                _ => Ok(permitted.into_iter()),
            }
        })
    }
}
