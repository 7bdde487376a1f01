//! The host a request names.

use http::{header, request::Parts};

/// Host of the request in lower case without port; `None` when it names none.
pub(crate) fn of(parts: &Parts) -> Option<String> {
    match parts.uri.authority() {
        Some(authority) => name(authority.as_str()),
        None => name(parts.headers.get(header::HOST)?.to_str().ok()?),
    }
}

/// Host part of `authority`, in lower case.
pub(crate) fn name(authority: &str) -> Option<String> {
    let authority: http::uri::Authority = authority.parse().ok()?;
    let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn port_case_and_final_dot_do_not_matter() {
        assert_eq!(
            name("Acme.Example.COM:8443").as_deref(),
            Some("acme.example.com")
        );
        assert_eq!(
            name("acme.example.com.").as_deref(),
            Some("acme.example.com")
        );
        assert_eq!(name("[::1]:443").as_deref(), Some("[::1]"));
        assert_eq!(name(""), None);
        assert_eq!(name("a b"), None);
    }
}
