//! Reads credentials from request headers.

use http::{HeaderMap, HeaderName, header};
use keystead_authz::Credentials;
use keystead_types::Secret;
use std::net::IpAddr;

/// Cookie of a dashboard session.
pub const SESSION_COOKIE: &str = "__Host-keystead_session";
/// Cookie of a portal session.
pub const PORTAL_COOKIE: &str = "__Host-sk_portal";
/// Names the environment that a dashboard member means (DB-025).
pub const ENVIRONMENT_DOMAIN: HeaderName = HeaderName::from_static("x-env-domain");

/// Where a call comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The network: a browser may have been made to send it.
    Network,
    /// Our own pages, which have checked their form token.
    InProcess,
}

/// Collects what the headers hold. `own` is the origin the request is for. Cookies count only without a bearer, and over the network only
/// when the browser vouches that the request is same-origin: a form on another site must not act
/// with the visitor's session.
pub(crate) fn read(
    headers: &HeaderMap,
    origin: Origin,
    own: &str,
    peer: Option<IpAddr>,
) -> Credentials {
    let bearers: Vec<Secret<String>> = headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        // HTTP/1.1 proxies may join repeated headers with commas; no bearer token holds one.
        .flat_map(|value| value.split(','))
        .filter_map(bearer)
        .collect();
    let cookies = bearers.is_empty() && (origin == Origin::InProcess || same_origin(headers, own));
    let named = |name| cookies.then(|| cookie(headers, name)).flatten();
    Credentials {
        session_cookie: named(SESSION_COOKIE),
        portal_cookie: named(PORTAL_COOKIE),
        env_domain: headers
            .get(ENVIRONMENT_DOMAIN)
            .and_then(|value| value.to_str().ok())
            .map(str::to_ascii_lowercase),
        peer,
        bearers,
    }
}

fn bearer(value: &str) -> Option<Secret<String>> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
        .then(|| Secret::new(token.to_owned()))
}

/// A cookie sent twice counts as none, so that no other can shadow ours.
fn cookie(headers: &HeaderMap, name: &str) -> Option<Secret<String>> {
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() => Some(Secret::new(value.to_owned())),
        _ => None,
    }
}

/// The browser's own word first; `Origin` for browsers that do not send it.
///
/// SECURITY: all of it (RFC 6454 section 5). What answers on another port of the host, or without TLS,
/// may be another application or somebody in between.
fn same_origin(headers: &HeaderMap, own: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => text("origin") == Some(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        headers
    }

    fn tokens(credentials: &Credentials) -> Vec<&str> {
        credentials
            .bearers
            .iter()
            .map(|token| token.expose().as_str())
            .collect()
    }

    #[test]
    fn every_authorization_entry_counts() {
        let headers = headers(&[
            ("authorization", "Bearer old"),
            ("authorization", "bearer new"),
            ("authorization", "Basic eDp5"),
            ("authorization", "Bearer a, Bearer b"),
            ("authorization", "Bearer "),
        ]);
        assert_eq!(
            tokens(&read(&headers, Origin::Network, "h", None)),
            ["old", "new", "a", "b"]
        );
    }

    #[test]
    fn a_cookie_counts_only_when_the_browser_says_same_origin() {
        let cookie = (
            "cookie",
            "x=1; __Host-keystead_session=s1; __Host-sk_portal=p1",
        );
        let session = |more: &[(&str, &str)], origin| {
            let mut all = vec![cookie];
            all.extend_from_slice(more);
            read(&headers(&all), origin, "https://app.test:8443", None)
                .session_cookie
                .is_some()
        };
        assert!(!session(&[], Origin::Network));
        assert!(session(&[], Origin::InProcess));
        assert!(session(
            &[("sec-fetch-site", "same-origin")],
            Origin::Network
        ));
        assert!(!session(
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://app.test")
            ],
            Origin::Network
        ));
        assert!(session(
            &[("origin", "https://app.test:8443")],
            Origin::Network
        ));
        for other in [
            "https://evil.test",
            "https://app.test",
            "https://app.test:8444",
            "http://app.test:8443",
            "https://app.test:8443.evil.test",
            "https://user@app.test:8443",
        ] {
            assert!(!session(&[("origin", other)], Origin::Network), "{other}");
        }
        assert!(!session(&[("origin", "null")], Origin::Network));
        let twice = [("cookie", "__Host-keystead_session=s2")];
        assert!(!session(&twice, Origin::InProcess), "sent twice");
        assert!(
            !session(&[("authorization", "Bearer t")], Origin::InProcess),
            "bearer calls ignore cookies"
        );
    }
}
