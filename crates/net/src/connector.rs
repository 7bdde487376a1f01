use crate::{
    Egress, InvalidProxy, Policy, Resolver,
    egress::Tunnels,
    error::{ConnectError, find},
    resolver::GuardedResolver,
    stream::MaybeTls,
};
use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::pki_types::ServerName;
use std::{
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::Service;

/// Makes connections to permitted addresses only, with TLS for https.
#[derive(Clone)]
pub(crate) struct GuardedConnector {
    tcp: HttpConnector<GuardedResolver>,
    tunnels: Option<Tunnels>,
    tls: TlsConnector,
    policy: Arc<Policy>,
    timeout: Duration,
}

impl GuardedConnector {
    pub(crate) fn new(
        resolver: Arc<dyn Resolver>,
        tls: Arc<rustls::ClientConfig>,
        policy: Arc<Policy>,
        timeout: Duration,
        egress: &Egress,
    ) -> Result<Self, InvalidProxy> {
        let tunnels = Tunnels::new(egress, &resolver, &policy, timeout)?;
        let mut tcp = HttpConnector::new_with_resolver(GuardedResolver {
            inner: resolver,
            policy: Arc::clone(&policy),
        });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_mins(1)));
        // Split between the addresses of a host, so that a dead first one leaves time for others.
        tcp.set_connect_timeout(Some(timeout));
        egress.bind(&mut tcp);
        Ok(Self {
            tcp,
            tunnels,
            tls: TlsConnector::from(tls),
            policy,
            timeout,
        })
    }

    async fn connect(mut self, uri: Uri) -> Result<MaybeTls, ConnectError> {
        let host = bare_host(&uri);
        // SECURITY: the connector does not ask the resolver about literal addresses.
        let literal = literal(host);
        if let Some(address) = literal {
            self.policy
                .check(host, address)
                .map_err(ConnectError::Blocked)?;
        }
        let https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let name = https
            .then(|| ServerName::try_from(host.to_owned()))
            .transpose();
        let name = name.map_err(|error| ConnectError::Tls(error.into()))?;
        let tcp = if let Some(tunnels) = self.tunnels.take() {
            let default = if https { 443 } else { 80 };
            let port = uri.port_u16().unwrap_or(default);
            TokioIo::new(tunnels.connect(host, literal, port).await?)
        } else {
            self.straight(uri).await?
        };
        let Some(name) = name else {
            return Ok(MaybeTls::Plain(tcp));
        };
        let secured = self.tls.connect(name, tcp.into_inner()).await;
        let tls = secured.map_err(|error| ConnectError::Tls(error.into()))?;
        Ok(MaybeTls::Tls(Box::new(TokioIo::new(tls))))
    }

    async fn straight(&mut self, uri: Uri) -> Result<TokioIo<TcpStream>, ConnectError> {
        let connected = self.tcp.call(uri).await;
        connected.map_err(|error| match find::<ConnectError>(&error) {
            Some(ConnectError::Blocked(why)) => ConnectError::Blocked(*why),
            Some(ConnectError::Dns(_)) => ConnectError::Dns(error.into()),
            _ => ConnectError::Tcp(error.into()),
        })
    }
}

impl Service<Uri> for GuardedConnector {
    type Response = MaybeTls;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<MaybeTls, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (this, limit) = (self.clone(), self.timeout);
        Box::pin(async move {
            let connected = tokio::time::timeout(limit, this.connect(uri)).await;
            connected.unwrap_or(Err(ConnectError::Timeout))
        })
    }
}

/// The host of a URL without the brackets of an IPv6 address.
pub(crate) fn bare_host(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// The address a host stands for without any resolution, in every spelling a resolver or browser
/// would accept (`127.1`, `0x7f.1`, `2130706433`).
fn literal(host: &str) -> Option<IpAddr> {
    if let Ok(address) = host.parse() {
        return Some(address);
    }
    match url::Host::parse(host) {
        Ok(url::Host::Ipv4(address)) => Some(address.into()),
        Ok(url::Host::Ipv6(address)) => Some(address.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_spellings_are_recognised_as_addresses() {
        for text in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "127.0.0.1.",
        ] {
            assert_eq!(literal(text), Some([127, 0, 0, 1].into()), "{text}");
        }
        assert_eq!(literal("::1"), Some([0u16, 0, 0, 0, 0, 0, 0, 1].into()));
        for text in ["example.com", "localhost", "1.2.3.4.example", "a-1"] {
            assert_eq!(literal(text), None, "{text}");
        }
    }

    #[test]
    fn brackets_are_removed() {
        assert_eq!(bare_host(&Uri::from_static("https://[::1]:8443/x")), "::1");
        assert_eq!(bare_host(&Uri::from_static("https://a.test/x")), "a.test");
    }
}
