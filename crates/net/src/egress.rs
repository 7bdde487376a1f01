//! How connections leave: from which address, and through which proxy (AK-473).

use crate::{Blocked, Policy, Resolver, error::ConnectError, resolver::GuardedResolver};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::Uri;
use hyper_util::{
    client::legacy::connect::{HttpConnector, dns::Name},
    rt::TokioIo,
};
use keystead_types::Secret;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::Service;
use zeroize::Zeroizing;

/// How connections leave. The default: straight, from the address that the system chooses.
#[derive(Clone, Default, Debug)]
pub struct Egress {
    /// A proxy that opens tunnels.
    pub proxy: Option<EgressProxy>,
    /// Source address of IPv4 connections. When only one of the two is set, only its family is
    /// connected to: a connection never leaves from an address that was not chosen.
    pub source_v4: Option<Ipv4Addr>,
    /// Source address of IPv6 connections.
    pub source_v6: Option<Ipv6Addr>,
}

/// An HTTP proxy that opens tunnels with `CONNECT` (RFC 9110 section 9.3.6).
#[derive(Clone, Debug)]
pub struct EgressProxy {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User name and password, sent as Basic.
    pub credentials: Option<(String, Secret<String>)>,
    /// Who resolves the names of targets.
    pub names: Names,
}

/// Who resolves the names of targets behind a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Names {
    /// This process; the proxy is given an address that was judged.
    #[default]
    Here,
    /// The proxy, which alone can then judge where a name leads. Literal addresses are judged here
    /// as ever, and names that can only be local ones are refused.
    AtProxy,
}

/// The text is no `http://user:password@host:port`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a proxy is written http://user:password@host:port, user and password may be left out")]
pub struct InvalidProxy;

impl FromStr for EgressProxy {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        let url = url::Url::parse(text).map_err(|_| InvalidProxy)?;
        let bare = matches!(url.path(), "" | "/") && url.query().is_none();
        if url.scheme() != "http" || !bare || url.fragment().is_some() {
            return Err(InvalidProxy);
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let decoded = |text: &str| {
            let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
            decoded.map(String::from).map_err(|_| InvalidProxy)
        };
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => {
                let password = Secret::new(decoded(password.unwrap_or_default())?);
                Some((decoded(user)?, password))
            }
        };
        Ok(Self {
            host: host.ok_or(InvalidProxy)?.to_owned(),
            port: url.port_or_known_default().ok_or(InvalidProxy)?,
            credentials,
            names: Names::Here,
        })
    }
}

impl Egress {
    pub(crate) fn bind<R>(&self, connector: &mut HttpConnector<R>) {
        match (self.source_v4, self.source_v6) {
            (Some(v4), Some(v6)) => connector.set_local_addresses(v4, v6),
            (Some(v4), None) => connector.set_local_address(Some(v4.into())),
            (None, Some(v6)) => connector.set_local_address(Some(v6.into())),
            (None, None) => {}
        }
    }
}

/// Longest answer of a proxy to `CONNECT`, in bytes.
const MAX_ANSWER: usize = 8 * 1024;
/// Addresses of a target that are tried.
const MAX_TRIES: usize = 3;

/// Opens tunnels through the configured proxy.
#[derive(Clone)]
pub(crate) struct Tunnels {
    proxy: Arc<EgressProxy>,
    uri: Uri,
    /// Reaches the proxy, which the operator chose and nobody has to judge.
    tcp: HttpConnector<GuardedResolver>,
    /// Finds the addresses of targets.
    targets: GuardedResolver,
}

impl fmt::Debug for Tunnels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tunnels").field(&self.proxy).finish()
    }
}

impl Tunnels {
    /// `None` when connections go straight.
    ///
    /// # Errors
    /// [`InvalidProxy`] when host and port make no address.
    pub(crate) fn new(
        egress: &Egress,
        resolver: &Arc<dyn Resolver>,
        policy: &Arc<Policy>,
        timeout: Duration,
    ) -> Result<Option<Self>, InvalidProxy> {
        let Some(proxy) = &egress.proxy else {
            return Ok(None);
        };
        let uri = format!("http://{}:{}", proxy.host, proxy.port);
        let mut tcp = HttpConnector::new_with_resolver(GuardedResolver {
            inner: Arc::clone(resolver),
            policy: Arc::new(Policy::everything()),
        });
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_mins(1)));
        tcp.set_connect_timeout(Some(timeout));
        egress.bind(&mut tcp);
        Ok(Some(Self {
            proxy: Arc::new(proxy.clone()),
            uri: uri.parse().map_err(|_| InvalidProxy)?,
            tcp,
            targets: GuardedResolver {
                inner: Arc::clone(resolver),
                policy: Arc::clone(policy),
            },
        }))
    }

    /// A connection to a target that, if it is a literal address, was judged.
    pub(crate) async fn connect(
        mut self,
        host: &str,
        literal: Option<IpAddr>,
        port: u16,
    ) -> Result<TcpStream, ConnectError> {
        let targets = match (literal, self.proxy.names) {
            (Some(address), _) => vec![SocketAddr::new(address, port).to_string()],
            (None, Names::Here) => {
                let name = host.parse::<Name>();
                let name = name.map_err(|error| ConnectError::Dns(error.into()))?;
                let found = self.targets.call(name).await?;
                found
                    .take(MAX_TRIES)
                    .map(|found| SocketAddr::new(found.ip(), port).to_string())
                    .collect()
            }
            (None, Names::AtProxy) => {
                // SECURITY: nobody here sees where the name leads.
                if is_local_name(host) && !self.targets.policy.opens(host) {
                    return Err(ConnectError::Blocked(Blocked::LocalName));
                }
                vec![format!("{host}:{port}")]
            }
        };
        let mut last = ConnectError::Dns("the name has no address".into());
        for target in targets {
            match self.tunnel(&target).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn tunnel(&mut self, target: &str) -> Result<TcpStream, ConnectError> {
        let connected = self.tcp.call(self.uri.clone()).await;
        let stream = connected.map_err(|error| ConnectError::Tcp(error.into()))?;
        let mut stream = TokioIo::into_inner(stream);
        let sent = stream.write_all(&self.request(target)).await;
        sent.map_err(|error| ConnectError::Tcp(error.into()))?;
        let mut answer = Vec::with_capacity(256);
        while !answer.ends_with(b"\r\n\r\n") {
            // SECURITY: byte by byte, since what comes after the head is the target's own; and
            // only so many bytes of it.
            if answer.len() >= MAX_ANSWER {
                return Err(refused("its answer is too long"));
            }
            let read = stream.read_u8().await;
            answer.push(read.map_err(|error| ConnectError::Tcp(error.into()))?);
        }
        match status(&answer) {
            Some(200..=299) => Ok(stream),
            Some(407) => Err(refused("it does not take the user and password (407)")),
            Some(status) => Err(refused(&format!("it answered {status}"))),
            None => Err(refused("it did not answer with HTTP")),
        }
    }

    fn request(&self, target: &str) -> Zeroizing<Vec<u8>> {
        let mut text = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some((user, password)) = &self.proxy.credentials {
            let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
            let pair = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
            text.push_str("Proxy-Authorization: Basic ");
            text.push_str(&pair);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        Zeroizing::new(text.into_bytes())
    }
}

fn refused(why: &str) -> ConnectError {
    ConnectError::Tcp(format!("the egress proxy opened no tunnel: {why}").into())
}

/// The status code of an answer's first line.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let (version, rest) = line.split_once(' ')?;
    let code = rest.split(' ').next()?;
    let known = version.starts_with("HTTP/1.") && code.len() == 3;
    known.then(|| code.parse().ok()).flatten()
}

/// Names that no public server has (RFC 6761, RFC 6762, RFC 8375, and `.internal`).
fn is_local_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    !host.contains('.')
        || [
            "localhost",
            "local",
            "internal",
            "home.arpa",
            "lan",
            "intranet",
        ]
        .iter()
        .any(|last| {
            host.strip_suffix(last)
                .is_some_and(|rest| rest.ends_with('.'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Part of AK-473
    #[test]
    fn a_proxy_is_read_and_its_password_not_shown() {
        let proxy: EgressProxy = "http://us%40er:p%3Ass@proxy.test:3128".parse().unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.test", 3128));
        assert!(!format!("{proxy:?}").contains("p:ss"));
        let (user, password) = proxy.credentials.unwrap();
        assert_eq!(
            (user.as_str(), password.expose().as_str()),
            ("us@er", "p:ss")
        );
        let plain: EgressProxy = "http://[::1]/".parse().unwrap();
        assert_eq!((plain.host.as_str(), plain.port), ("[::1]", 80));
        assert!(plain.credentials.is_none());
        for junk in [
            "",
            "proxy:3128",
            "https://proxy",
            "socks5://proxy",
            "http://",
            "http://p/x",
            "http://p?x",
            "http://p#x",
        ] {
            assert!(junk.parse::<EgressProxy>().is_err(), "{junk}");
        }
    }

    #[test]
    fn the_answer_of_a_proxy_is_read_strictly() {
        for (line, expected) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Some(200)),
            ("HTTP/1.0 407 x\r\n\r\n", Some(407)),
            ("HTTP/1.1 200\r\n\r\n", Some(200)),
            ("HTTP/2 200\r\n\r\n", None),
            ("HTTP/1.1 2000 x\r\n\r\n", None),
            ("SSH-2.0-x\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(status(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn local_names_are_known() {
        for name in [
            "localhost",
            "db",
            "a.localhost",
            "printer.local",
            "metadata.google.internal",
            "x.lan.",
        ] {
            assert!(is_local_name(name), "{name}");
        }
        for name in [
            "example.com",
            "internal.example.com",
            "mylocal.com",
            "xlocal.dev",
        ] {
            assert!(!is_local_name(name), "{name}");
        }
    }
}
