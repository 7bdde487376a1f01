use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers that describe one connection and must not travel further (RFC 9110 section 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Removes the headers that belong to one hop, also those that `Connection` names.
///
/// `TE: trailers` stays: gRPC needs it and it is legal in HTTP/2.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    // SECURITY: a peer must not have framing or routing headers dropped by naming them.
    for name in named
        .iter()
        .filter(|name| **name != header::CONTENT_LENGTH && **name != header::HOST)
    {
        headers.remove(name);
    }
    // SECURITY: with both, the length is not that of the body (RFC 9112 section 6.3).
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    let trailers = HeaderValue::from_static("trailers");
    if headers
        .get(header::TE)
        .is_some_and(|value| *value != trailers)
    {
        headers.remove(header::TE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_end_to_end_headers_survive() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop, content-length"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers, deflate"),
            ("upgrade", "h2c"),
            ("content-length", "3"),
            ("x-end", "1"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let names = |mut headers: HeaderMap| {
            remove_hop_by_hop(&mut headers);
            let mut left: Vec<_> = headers.keys().map(ToString::to_string).collect();
            left.sort_unstable();
            left
        };
        assert_eq!(names(headers.clone()), ["x-end"]);
        headers.remove(header::TRANSFER_ENCODING);
        assert_eq!(names(headers), ["content-length", "x-end"]);
    }

    #[test]
    fn te_trailers_survives() {
        let mut headers = HeaderMap::new();
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        remove_hop_by_hop(&mut headers);
        assert!(headers.contains_key(header::TE));
    }
}
