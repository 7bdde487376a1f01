//! The cookies pages use. All are `__Host-`: this host only, over TLS only, not readable by script.

use http::{HeaderMap, HeaderValue, header};
use keystead_types::Secret;

/// One of our cookies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cookie {
    /// Name, with its `__Host-` prefix.
    pub name: &'static str,
    /// Lifetime in the browser, seconds.
    pub max_age_secs: u32,
}

/// Binds an OAuth flow to the browser that began it (AK-309).
pub const CONNECT: Cookie = Cookie {
    name: "__Host-sk_connect",
    max_age_secs: 900,
};
/// The link that was opened, so that a page that tells of a failure can offer it again (AK-310).
///
/// SECURITY: it is in the browser's history already, and script cannot read it here.
pub const LINK: Cookie = Cookie {
    name: "__Host-sk_link",
    max_age_secs: 3_600,
};
/// The session of the hosted credential form (specification 3.2).
pub const PORTAL: Cookie = Cookie {
    name: "__Host-sk_portal",
    max_age_secs: 1_800,
};
/// The session of a dashboard member. The server ends it earlier when it is idle.
pub const SESSION: Cookie = Cookie {
    name: "__Host-keystead_session",
    max_age_secs: 604_800,
};
/// A random value that anti-forgery tokens are bound to while nobody is signed in.
pub const VISITOR: Cookie = Cookie {
    name: "__Host-sk_visitor",
    max_age_secs: 3_600,
};
/// A sign-in that waits for its code: the attempt, and the address the code was sent to.
pub const SIGN_IN: Cookie = Cookie {
    name: "__Host-sk_sign_in",
    max_age_secs: 900,
};

impl Cookie {
    /// Reads the cookie; an empty value counts as none.
    ///
    /// SECURITY: a cookie sent twice is refused, so that none can shadow ours.
    pub fn read(self, headers: &HeaderMap) -> Option<Secret<String>> {
        let pairs = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs
            .filter(|(name, _)| *name == self.name)
            .map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(value), None) if !value.is_empty() => Some(Secret::new(value.to_owned())),
            _ => None,
        }
    }

    /// The header that sets the cookie. `None` when the value holds what a cookie cannot.
    pub(crate) fn set(self, value: &str) -> Option<HeaderValue> {
        let clean = value.bytes().all(
            |byte| matches!(byte, b'!' | b'#'..=b'+' | b'-'..=b':' | b'<'..=b'[' | b']'..=b'~'),
        );
        let text = format!(
            "{}={value}; Path=/; Max-Age={}; Secure; HttpOnly; SameSite=Lax",
            self.name, self.max_age_secs
        );
        let mut header = clean.then(|| HeaderValue::from_str(&text).ok()).flatten()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// The header that removes the cookie.
    pub(crate) fn clear(self) -> Option<HeaderValue> {
        let text = format!(
            "{}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
            self.name
        );
        HeaderValue::from_str(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{CONNECT, PORTAL};
    use http::{HeaderMap, HeaderValue, header::COOKIE};

    fn headers(line: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(line))])
    }

    #[test]
    fn a_cookie_is_read_by_its_exact_name_and_only_when_sent_once() {
        let found = CONNECT
            .read(&headers("a=b; __Host-sk_connect=v.1=; x=y"))
            .unwrap();
        assert_eq!(found.expose(), "v.1=");
        assert!(
            CONNECT
                .read(&headers("sk_connect=v; __host-sk_connect=v"))
                .is_none()
        );
        assert!(
            CONNECT
                .read(&headers("__Host-sk_connect=a; __Host-sk_connect=b"))
                .is_none()
        );
        assert!(PORTAL.read(&headers("__Host-sk_portal=")).is_none());
    }

    #[test]
    fn a_value_cannot_add_attributes_or_lines() {
        for value in [
            "a; Domain=evil.test",
            "a\r\nSet-Cookie: b=c",
            "a b",
            "a,b",
            "a\"b",
        ] {
            assert!(CONNECT.set(value).is_none(), "{value}");
        }
        let header = CONNECT.set("abc.def").unwrap();
        assert_eq!(
            header.to_str().unwrap(),
            "__Host-sk_connect=abc.def; Path=/; Max-Age=900; Secure; HttpOnly; SameSite=Lax"
        );
    }
}
