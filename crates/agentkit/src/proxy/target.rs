//! Where a proxied call goes (AK-451, AK-461, AK-472).

use crate::{
    Error,
    template::{TemplateError, Values, fill_url, host_allowed},
};
use url::Url;

/// A path of ours at an account's base URL.
///
/// # Errors
/// [`Error::Template`], [`Error::TargetNotAllowed`].
pub(crate) fn resolve_target(
    base: &str,
    values: &Values,
    allowed_hosts: &[String],
    path: &str,
) -> Result<Url, Error> {
    Ok(resolve(base, values, allowed_hosts, path, None)?)
}

/// The target cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum TargetError {
    /// A template variable has no or no legal value.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The path tries to leave the provider's base URL.
    #[error("the path is not allowed: {0}")]
    Path(&'static str),
    /// The caller names a host that is not the provider's.
    #[error("x-upstream: `{0}` is none of the provider's hosts (allowed_proxy_domains)")]
    Upstream(String),
}

/// The root of another host of the provider, which the caller names by its first label or in full:
/// `upload` means `upload.box.com` where that is on the list (AK-461). Scheme and port are those of
/// the base URL when that is plain http, which only a developer's own provider can be.
pub(super) fn other_root(
    base: &str,
    values: &Values,
    allowed_hosts: &[String],
    named: &str,
) -> Result<Upstream, TargetError> {
    let refused = || TargetError::Upstream(named.to_owned());
    let is_meant = |host: &&String| {
        let label = host.split('.').next().unwrap_or_default();
        host.eq_ignore_ascii_case(named) || label.eq_ignore_ascii_case(named)
    };
    // SECURITY: only hosts that are spelled out. A pattern would let every caller choose where the
    // credential goes.
    let spelled_out = allowed_hosts.iter().filter(|host| !host.contains('*'));
    let mut meant = spelled_out.filter(is_meant);
    let (Some(host), None) = (meant.next(), meant.next()) else {
        return Err(refused());
    };
    let root = if base.starts_with("http://") {
        let base = Url::parse(&fill_url(base, values)?).map_err(|_| TemplateError::NotAUrl)?;
        let port = base.port().map(|port| format!(":{port}"));
        format!("http://{host}{}", port.unwrap_or_default())
    } else {
        format!("https://{host}")
    };
    let parsed = Url::parse(&root).map_err(|_| refused())?;
    // SECURITY: an entry of the list is a host and nothing else.
    if !parsed
        .host_str()
        .is_some_and(|parsed| parsed.eq_ignore_ascii_case(host))
    {
        return Err(refused());
    }
    Ok(Upstream {
        host: host.to_ascii_lowercase(),
        root,
    })
}

/// Another host of a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Upstream {
    /// Its name.
    pub(super) host: String,
    /// Scheme, name and port.
    pub(super) root: String,
}

impl From<TargetError> for Error {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Template(error) => Self::Template(error),
            TargetError::Path(why) => Self::TargetNotAllowed(why.to_owned()),
            TargetError::Upstream(_) => Self::TargetNotAllowed(error.to_string()),
        }
    }
}

/// Joins the filled base URL with the caller's path and query, both kept byte for byte.
///
/// `path` starts after `/proxy`, `query` has no `?`.
pub(super) fn resolve(
    base: &str,
    values: &Values,
    allowed_hosts: &[String],
    path: &str,
    query: Option<&str>,
) -> Result<Url, TargetError> {
    let base = fill_url(base, values)?;
    let root = Url::parse(&base).map_err(|_| TemplateError::NotAUrl)?;
    let host = root.host_str().ok_or(TemplateError::NotAUrl)?;
    // SECURITY: a templated host must stay on the provider's hosts, or the user's credential
    // could be sent anywhere.
    if !allowed_hosts.is_empty() && !host_allowed(host, allowed_hosts) {
        return Err(TemplateError::HostNotAllowed(host.to_owned()).into());
    }
    check_path(path)?;
    let mut full = base.trim_end_matches('/').to_owned();
    if !path.starts_with('/') {
        full.push('/');
    }
    full.push_str(path);
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        full.push('?');
        full.push_str(query);
    }
    if query.is_some_and(|query| query.contains('#')) {
        return Err(TargetError::Path("the query holds a fragment"));
    }
    let url = Url::parse(&full).map_err(|_| TargetError::Path("it is not a valid URL path"))?;
    let same_place = url.scheme() == root.scheme()
        && url.host_str() == root.host_str()
        && url.port() == root.port()
        && url.username().is_empty()
        && url.password().is_none();
    let base_path = root.path().trim_end_matches('/');
    let below = url
        .path()
        .strip_prefix(base_path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if !same_place || !below {
        return Err(TargetError::Path("it leaves the provider's base URL"));
    }
    Ok(url)
}

/// An account's own base URL, which may only go further down than the connection's (AK-112).
pub(super) fn narrowed(root: &Url, own: &str) -> Result<Url, TargetError> {
    let elsewhere = TargetError::Path("the account's base_url is not below the connection's");
    let own = Url::parse(own).map_err(|_| elsewhere.clone())?;
    // SECURITY: the credential goes there, and the connection's own limits hold for its base URL.
    let same_place = own.origin() == root.origin()
        && own.username().is_empty()
        && own.password().is_none()
        && own.query().is_none()
        && own.fragment().is_none();
    let below = own
        .path()
        .strip_prefix(root.path().trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if !same_place || !below {
        return Err(elsewhere);
    }
    check_path(own.path())?;
    Ok(own)
}

/// SECURITY: refuses everything that some server might read as another host or a climb.
fn check_path(path: &str) -> Result<(), TargetError> {
    if path.contains("//") {
        return Err(TargetError::Path("it holds `//`"));
    }
    if path.contains('\\') || path.to_ascii_lowercase().contains("%5c") {
        return Err(TargetError::Path("it holds a backslash"));
    }
    if path.contains('#') {
        return Err(TargetError::Path("it holds a fragment"));
    }
    if path.chars().any(char::is_control) {
        return Err(TargetError::Path("it holds control characters"));
    }
    let lower = path.to_ascii_lowercase();
    if ["%252e", "%252f", "%255c", "%2525"]
        .iter()
        .any(|twice| lower.contains(twice))
    {
        return Err(TargetError::Path("it is encoded twice"));
    }
    for segment in path.split('/') {
        let decoded = percent_encoding::percent_decode_str(segment).collect::<Vec<u8>>();
        // A server may decode `%2F` before it resolves the path.
        if decoded.split(|byte| *byte == b'/').any(is_dots) {
            return Err(TargetError::Path("it holds a dot segment"));
        }
        if decoded.iter().any(u8::is_ascii_control) {
            return Err(TargetError::Path("it holds control characters"));
        }
    }
    Ok(())
}

/// Java servers take path parameters off before they resolve the path: `..;a=b` climbs there.
fn is_dots(part: &[u8]) -> bool {
    let name = part.split(|byte| *byte == b';').next();
    matches!(name, Some(b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(base: &str, path: &str, query: Option<&str>) -> Result<String, TargetError> {
        resolve(base, &Values::new(), &[], path, query).map(String::from)
    }

    /// Part of AK-112: an account's base URL stays at the connection's origin and below its path.
    #[test]
    fn an_accounts_base_url_only_goes_down() {
        let root = Url::parse("https://h.test:8443/api/").unwrap();
        for own in ["https://h.test:8443/api", "https://h.test:8443/api/v2/"] {
            assert!(narrowed(&root, own).is_ok(), "{own}");
        }
        for own in [
            "https://h.test:8443/",
            "https://h.test:8443/apix",
            "https://h.test:8443/api/../x",
            "https://h.test:8443/api/%2e%2e/x",
            "https://h.test:8443/api/a%2f..%2f..%2fx",
            "https://h.test:8443/api//x",
            "https://h.test/api",
            "http://h.test:8443/api",
            "https://evil.test:8443/api",
            "https://u@h.test:8443/api",
            "https://h.test:8443/api?x=1",
            "https://h.test:8443/api#x",
            "/api/v2",
        ] {
            assert!(narrowed(&root, own).is_err(), "{own}");
        }
    }

    /// AK-451: base path kept, order and encoding of the query preserved.
    #[test]
    fn the_path_is_appended_to_the_base() {
        let cases = [
            (
                "https://app.asana.com/api",
                "/1.0/users/me",
                None,
                "https://app.asana.com/api/1.0/users/me",
            ),
            (
                "https://app.asana.com/api/",
                "/1.0/users/me",
                None,
                "https://app.asana.com/api/1.0/users/me",
            ),
            (
                "https://h.test",
                "/a",
                Some("q=is%3Aunread&b=2&b=1&c=a+b"),
                "https://h.test/a?q=is%3Aunread&b=2&b=1&c=a+b",
            ),
            ("https://h.test:8443/x", "/", None, "https://h.test:8443/x/"),
            (
                "https://h.test",
                "/a;v=1/..b/100%25",
                None,
                "https://h.test/a;v=1/..b/100%25",
            ),
            (
                "https://h.test",
                "/a%2Fb/ü",
                None,
                "https://h.test/a%2Fb/%C3%BC",
            ),
        ];
        for (base, path, query, expected) in cases {
            assert_eq!(plain(base, path, query).unwrap(), expected);
        }
    }

    /// AK-461: by first label or in full, never by a pattern.
    #[test]
    fn another_host_is_one_that_is_spelled_out() {
        let listed = |hosts: &[&str], named: &str| {
            let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
            let found = other_root("https://api.box.com/2.0", &Values::new(), &hosts, named);
            found.map(|upstream| upstream.root).ok()
        };
        let own = ["api.box.com", "upload.box.com", "*.boxcloud.com", "*"];
        let upload = Some("https://upload.box.com".to_owned());
        for named in ["upload", "UPLOAD", "upload.box.com"] {
            assert_eq!(listed(&own, named), upload, "{named}");
        }
        for named in [
            "",
            "*",
            "box.com",
            "dl",
            "dl.boxcloud.com",
            "evil.com",
            "upload.box.com:444",
            "upload.box.com/x",
            "x@upload.box.com",
            "upload.box.com.evil.com",
        ] {
            assert_eq!(listed(&own, named), None, "{named}");
        }
        assert_eq!(listed(&["upload.a.com", "upload.b.com"], "upload"), None);
        assert_eq!(listed(&["upload.b.com/x"], "upload"), None);
        assert_eq!(listed(&["u@upload.b.com"], "u@upload.b.com"), None);
    }

    /// AK-472
    #[test]
    fn a_path_that_could_leave_the_base_is_refused() {
        for path in [
            "//evil.com/x",
            "/a//b",
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/.%2E/x",
            "/a/./b",
            "/a/..%2f../b",
            "/a/x%2F%2e%2e",
            "/..;/x",
            "/a/..;v=1/x",
            "/a/.;/x",
            "/a/..%3b/x",
            "/a%2f..;x/b",
            "/a/%252e%252E/x",
            "/a/.%252e/x",
            "/a%252F..%252fb",
            "/a%255c..",
            "/a/%25252e%25252e/x",
            "/a\\b",
            "/%5C..",
            "/a\nb",
            "/a%0d%0ab",
            "/x#y",
        ] {
            assert!(plain("https://h.test/base", path, None).is_err(), "{path}");
        }
    }

    /// AK-471
    #[test]
    fn a_templated_host_must_be_on_the_list() {
        let values = Values::from([("domain".to_owned(), "evil.com".to_owned())]);
        let allowed = ["*.zendesk.com".to_owned()];
        assert_eq!(
            resolve("https://{{domain}}", &values, &allowed, "/x", None),
            Err(TargetError::Template(TemplateError::HostNotAllowed(
                "evil.com".to_owned()
            )))
        );
        // Customers who run the service themselves have hosts of any name (AK-008b).
        assert!(resolve("https://{{domain}}", &values, &[], "/x", None).is_ok());
    }

    proptest! {
        /// AK-472
        #[test]
        fn no_path_or_query_changes_the_host_or_climbs(path in "/[\\PC]{0,40}", query in "\\PC{0,20}") {
            if let Ok(url) = resolve("https://h.test/base", &Values::new(), &[], &path, Some(&query)) {
                prop_assert_eq!(url.host_str(), Some("h.test"));
                prop_assert!(url.path() == "/base" || url.path().starts_with("/base/"));
                prop_assert!(url.fragment().is_none());
            }
        }
    }
}
