//! The cookies pages use. All are `__Host-`: this host only, over TLS only, not readable by script.
//! That prefix demands `Path=/`, so cookies of one flow are kept apart by their names.

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

/// Which of the flows or links that a browser has under way a cookie belongs to, so that two of them
/// can be finished in two tabs: the first characters of a flow's state or of a link's token.
///
/// SECURITY: it only says which cookie to look at; what proves something is the cookie's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tag(String);

impl Tag {
    const LENGTH: usize = 8;

    /// The tag of a state or token. `None` for one that was not made here.
    pub fn of(text: &str) -> Option<Self> {
        let tag: String = text.chars().take(Self::LENGTH).collect();
        let named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (!tag.is_empty() && tag.chars().all(named)).then_some(Self(tag))
    }

    /// As part of an address.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Cookies of one kind in a browser, at most. The oldest give way.
const MOST_OF_A_KIND: usize = 8;

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
/// Shows that a member signed in with this browser before; outlives the session.
pub const DEVICE: Cookie = Cookie {
    name: "__Host-keystead_device",
    max_age_secs: 15_552_000,
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

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

impl Cookie {
    /// Reads the cookie; an empty value counts as none.
    ///
    /// SECURITY: a cookie sent twice is refused, so that none can shadow ours.
    pub fn read(self, headers: &HeaderMap) -> Option<Secret<String>> {
        Self::value(headers, self.name)
    }

    /// Reads the cookie of one flow or link.
    pub fn read_tagged(self, headers: &HeaderMap, tag: &Tag) -> Option<Secret<String>> {
        Self::value(headers, &self.tagged(tag))
    }

    /// The tags of the cookies of this kind that the browser holds. Browsers send the oldest first
    /// (RFC 6265, section 5.4).
    pub(crate) fn tags(self, headers: &HeaderMap) -> Vec<Tag> {
        let tag = |name: &str| Tag::of(name.strip_prefix(self.name)?.strip_prefix('-')?);
        let mut tags: Vec<Tag> = Vec::new();
        for tag in pairs(headers).filter_map(|(name, _)| tag(name)) {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        tags
    }

    fn tagged(self, tag: &Tag) -> String {
        format!("{}-{}", self.name, tag.0)
    }

    fn value(headers: &HeaderMap, name: &str) -> Option<Secret<String>> {
        let mut values = pairs(headers)
            .filter(|(found, _)| *found == name)
            .map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(value), None) if !value.is_empty() => Some(Secret::new(value.to_owned())),
            _ => None,
        }
    }

    /// The header that sets the cookie. `None` when the value holds what a cookie cannot.
    pub(crate) fn set(self, value: &str) -> Option<HeaderValue> {
        self.set_named(self.name, value)
    }

    /// The headers that set the cookie of one flow or link, and remove the oldest of this kind when
    /// the browser, whose request had `headers`, holds many. `None` as for [`Self::set`].
    pub(crate) fn set_tagged(
        self,
        headers: &HeaderMap,
        tag: &Tag,
        value: &str,
    ) -> Option<Vec<HeaderValue>> {
        let mut all = vec![self.set_named(&self.tagged(tag), value)?];
        let mut others = self.tags(headers);
        others.retain(|other| other != tag);
        let too_many = (others.len() + 1).saturating_sub(MOST_OF_A_KIND);
        let gone = others.iter().take(too_many);
        all.extend(gone.filter_map(|tag| self.clear_tagged(tag)));
        Some(all)
    }

    fn set_named(self, name: &str, value: &str) -> Option<HeaderValue> {
        let clean = value.bytes().all(
            |byte| matches!(byte, b'!' | b'#'..=b'+' | b'-'..=b':' | b'<'..=b'[' | b']'..=b'~'),
        );
        let text = format!(
            "{name}={value}; Path=/; Max-Age={}; Secure; HttpOnly; SameSite=Lax",
            self.max_age_secs
        );
        let mut header = clean.then(|| HeaderValue::from_str(&text).ok()).flatten()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// The header that removes the cookie.
    pub(crate) fn clear(self) -> Option<HeaderValue> {
        Self::clear_named(self.name)
    }

    /// The header that removes the cookie of one flow or link.
    pub(crate) fn clear_tagged(self, tag: &Tag) -> Option<HeaderValue> {
        Self::clear_named(&self.tagged(tag))
    }

    fn clear_named(name: &str) -> Option<HeaderValue> {
        let text = format!("{name}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
        HeaderValue::from_str(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{CONNECT, MOST_OF_A_KIND, PORTAL, Tag};
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
    fn a_tag_cannot_add_attributes_and_finds_its_own_cookie_only() {
        for text in ["", "a;b", "a=b", "a b", "ä"] {
            assert!(Tag::of(text).is_none(), "{text:?}");
        }
        let tag = Tag::of("AAAA_-00 what follows does not matter").unwrap();
        let both = headers("__Host-sk_connect-AAAA_-00=a; __Host-sk_connect-BBBBBBBB=b");
        assert_eq!(CONNECT.read_tagged(&both, &tag).unwrap().expose(), "a");
        assert!(CONNECT.read(&both).is_none() && PORTAL.read_tagged(&both, &tag).is_none());
        let twice = headers("__Host-sk_connect-AAAA_-00=a; __Host-sk_connect-AAAA_-00=b");
        assert!(CONNECT.read_tagged(&twice, &tag).is_none());
    }

    #[test]
    fn the_oldest_of_many_flows_gives_way() {
        let tag = |at: usize| Tag::of(&format!("flow{at}")).unwrap();
        let line = |count: usize| {
            let all: Vec<String> = (0..count)
                .map(|at| format!("__Host-sk_connect-flow{at}=v"))
                .collect();
            HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&all.join("; ")).unwrap())])
        };
        let set = |headers: &HeaderMap, at| CONNECT.set_tagged(headers, &tag(at), "v").unwrap();
        assert_eq!(set(&line(MOST_OF_A_KIND - 1), 99).len(), 1);
        assert_eq!(set(&line(MOST_OF_A_KIND), 0).len(), 1, "one is set anew");
        let all = set(&line(MOST_OF_A_KIND + 1), 99);
        let cleared: Vec<_> = all[1..].iter().map(|line| line.to_str().unwrap()).collect();
        assert!(cleared.len() == 2 && cleared[1].starts_with("__Host-sk_connect-flow1=; "));
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
