//! What a proxy in front says about its clients.

use crate::Peer;
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use ipnet::IpNet;
use std::net::IpAddr;

/// Networks whose `X-Forwarded-For`, `-Proto` and `-Host` are believed; from anybody else these
/// headers are removed (DB-204).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrustedProxies(pub Vec<IpNet>);

impl TrustedProxies {
    pub(super) fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Finds the client behind trusted proxies and takes the forwarding headers off the request.
    pub(super) fn resolve<B>(&self, request: &mut Request<B>, direct: Peer) -> Peer {
        let trusted = self.trust(direct.address);
        let headers = request.headers();
        let forwarded = trusted.then(|| self.client(headers)).flatten();
        let proto =
            text(headers, "x-forwarded-proto").map(|proto| proto.eq_ignore_ascii_case("https"));
        let host = text(headers, "x-forwarded-host").map(str::to_owned);
        for name in [
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-forwarded-port",
            "x-real-ip",
            "forwarded",
        ] {
            request.headers_mut().remove(name);
        }
        if !trusted {
            return direct;
        }
        if let Some(host) = host {
            set_host(request, &host);
        }
        Peer {
            address: forwarded.unwrap_or(direct.address),
            secure: proto.unwrap_or(direct.secure),
        }
    }

    /// The last address that is not one of our proxies: those before it are the client's own words.
    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let entries = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok());
        let all: Vec<&str> = entries
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        let mut client = None;
        for entry in all.into_iter().rev() {
            let address: IpAddr = entry.parse().ok()?;
            client = Some(address.to_canonical());
            if !self.trust(address) {
                break;
            }
        }
        client
    }
}

/// The value nearest to us.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value
        .rsplit(',')
        .next()
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

fn set_host<B>(request: &mut Request<B>, host: &str) {
    let Ok(value) = HeaderValue::from_str(host) else {
        return;
    };
    request.headers_mut().insert(header::HOST, value);
    // The authority of HTTP/2 would go before the header.
    if request.uri().authority().is_some()
        && let Some(path) = request.uri().path_and_query()
        && let Ok(uri) = path.as_str().parse::<Uri>()
    {
        *request.uri_mut() = uri;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(direct: &str, headers: &[(&str, &str)]) -> (Peer, Request<()>) {
        let proxies = TrustedProxies(vec!["10.0.0.0/8".parse().unwrap()]);
        let mut request = Request::builder().uri("https://inner/x?y=1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        let direct = Peer {
            address: direct.parse().unwrap(),
            secure: false,
        };
        let peer = proxies.resolve(&mut request, direct);
        (peer, request)
    }

    #[test]
    fn the_headers_of_a_stranger_are_removed() {
        let (peer, request) = resolve(
            "192.0.2.9",
            &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-host", "evil")],
        );
        assert_eq!(peer.address.to_string(), "192.0.2.9");
        assert!(request.headers().is_empty());
        assert_eq!(request.uri().authority().unwrap(), "inner");
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_a_proxy() {
        let headers = [
            ("x-forwarded-for", "6.6.6.6, 192.0.2.1"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-forwarded-proto", "https"),
        ];
        let (peer, _) = resolve("10.0.0.1", &headers);
        assert_eq!(
            peer,
            Peer {
                address: "192.0.2.1".parse().unwrap(),
                secure: true
            }
        );
    }

    #[test]
    fn the_forwarded_host_replaces_the_authority() {
        let (_, request) = resolve("10.0.0.1", &[("x-forwarded-host", "acme.example.com")]);
        assert_eq!(request.headers()[header::HOST], "acme.example.com");
        assert_eq!(request.uri().to_string(), "/x?y=1");
    }
}
