//! Applications that are registered at the fake provider.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use subtle::ConstantTimeEq;
use url::{Host, Url};

/// An application known to the fake provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientRegistration {
    /// Public name.
    pub client_id: String,
    /// Without one the client is public and must use PKCE.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// Compared exactly. When empty, any URL on loopback is taken.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
}

impl ClientRegistration {
    pub(crate) fn standard() -> Self {
        Self {
            client_id: crate::CLIENT_ID.to_owned(),
            client_secret: Some(crate::CLIENT_SECRET.to_owned()),
            redirect_uris: Vec::new(),
        }
    }

    pub(crate) fn accepts_redirect(&self, uri: &str) -> bool {
        if self.redirect_uris.is_empty() {
            Url::parse(uri).is_ok_and(|url| is_loopback(&url) && url.fragment().is_none())
        } else {
            self.redirect_uris.iter().any(|known| known == uri)
        }
    }

    pub(crate) fn accepts_secret(&self, secret: Option<&str>) -> bool {
        match (&self.client_secret, secret) {
            (Some(known), Some(sent)) => known.as_bytes().ct_eq(sent.as_bytes()).into(),
            (None, None) => true,
            _ => false,
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => false,
    };
    local && matches!(url.scheme(), "http" | "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_taken_without_registration() {
        let client = ClientRegistration::standard();
        for good in [
            "http://localhost:8443/cb",
            "https://acme.localhost/cb",
            "http://127.0.0.1:1/",
            "http://[::1]/",
        ] {
            assert!(client.accepts_redirect(good), "{good}");
        }
        for bad in [
            "https://evil.test/",
            "https://localhost.evil.test/",
            "javascript:alert(1)",
            "http://localhost/#x",
            "/cb",
            "",
        ] {
            assert!(!client.accepts_redirect(bad), "{bad}");
        }
    }

    #[test]
    fn registered_redirects_are_compared_exactly() {
        let client = ClientRegistration {
            redirect_uris: vec!["https://app.test/cb".to_owned()],
            ..ClientRegistration::standard()
        };
        assert!(client.accepts_redirect("https://app.test/cb"));
        for bad in [
            "https://app.test/cb/",
            "https://app.test/cb?x",
            "https://APP.test/cb",
            "http://localhost/cb",
        ] {
            assert!(!client.accepts_redirect(bad), "{bad}");
        }
    }
}
