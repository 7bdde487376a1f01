//! Which headers cross the proxy (AK-453, AK-456).

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Hop-by-hop headers (RFC 9110 section 7.6.1) and what older proxies send.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// The caller's own headers: they are for this server, or would leak who called.
const NOT_FORWARDED: &[&str] = &[
    "authorization",
    "connection_name",
    "connection-name",
    "x-connection-name",
    "identifier",
    "x-identifier",
    "connected_account_id",
    "connected-account-id",
    "x-connected-account-id",
    "x-upstream",
    "organization_id",
    "user_id",
    "cookie",
    "host",
    "content-length",
    "expect",
    "x-sdk-version",
    "x-api-version",
    "x-request-id",
    "user-agent",
    "forwarded",
    "via",
    "x-real-ip",
];

/// Headers of the provider by which an answer that a browser opens would act on this server's origin:
/// on its cookies, storage, workers, reports, or on where the page goes.
const NOT_RETURNED: &[&str] = &[
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "alt-svc",
    "clear-site-data",
    "link",
    "nel",
    "origin-agent-cluster",
    "public-key-pins",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "sourcemap",
    "x-sourcemap",
    "x-scalekit-execution-id",
    "x-scalekit-source",
];

/// Headers by which some servers take another method or path than the request's.
const OVERRIDES: &[&str] = &[
    "http-method-override",
    "x-envoy-original-path",
    "x-goog-http-method-override",
    "x-http-destinationurl",
    "x-http-method",
    "x-http-method-override",
    "x-method",
    "x-method-override",
    "x-ms-http-method",
    "x-original-uri",
    "x-original-url",
    "x-override-url",
    "x-rest-method",
    "x-rewrite-url",
    "x-tunneled-method",
    "x_http_method_override",
];

/// SECURITY: on a connection with a list of allowed calls a header must not make another one (AK-460).
pub(super) fn remove_overrides(headers: &mut HeaderMap) {
    for name in OVERRIDES {
        headers.remove(*name);
    }
}

/// The caller's headers that go upstream.
pub(super) fn forwarded(from: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(from);
    filtered(from, |name| {
        let text = name.as_str();
        !HOP_BY_HOP.contains(&text)
            && !NOT_FORWARDED.contains(&text)
            && !text.starts_with("x-forwarded-")
            && !text.starts_with("sec-fetch-")
            && !named.contains(name)
    })
}

/// The provider's headers that go back to the caller.
///
/// SECURITY: an answer that a browser shows is data of somebody else on our origin. It is neither
/// guessed to be a page nor, being one, allowed to run.
pub(super) fn returned(from: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(from);
    let mut kept = filtered(from, |name| {
        let text = name.as_str();
        !HOP_BY_HOP.contains(&text)
            && !NOT_RETURNED.contains(&text)
            && !text.starts_with("access-control-")
            && !named.contains(name)
    });
    let ours = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "sandbox"),
    ];
    for (name, value) in ours {
        kept.insert(name, HeaderValue::from_static(value));
    }
    kept
}

fn filtered(from: &HeaderMap, keep: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(from.len());
    for (name, value) in from {
        if keep(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// Headers that `Connection` declares hop-by-hop.
fn named_by_connection(from: &HeaderMap) -> Vec<HeaderName> {
    from.get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        map
    }

    /// AK-456
    #[test]
    fn the_callers_credentials_and_addressing_stay_here() {
        let sent = map(&[
            ("authorization", "Bearer platform"),
            ("connection_name", "gmail"),
            ("identifier", "user_1"),
            ("x-upstream", "upload"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-sdk-version", "1"),
            ("user-agent", "SDK"),
            ("connection", "keep-alive, x-private"),
            ("x-private", "hop"),
            ("te", "trailers"),
            ("accept", "application/json"),
            ("soapaction", "urn:x"),
            ("x-multi", "1"),
            ("x-multi", "2"),
        ]);
        let kept = map(&[
            ("accept", "application/json"),
            ("soapaction", "urn:x"),
            ("x-multi", "1"),
            ("x-multi", "2"),
        ]);
        assert_eq!(forwarded(&sent), kept);
    }

    /// AK-460
    #[test]
    fn another_method_or_path_is_not_asked_for_by_header() {
        let mut headers = map(&[
            ("x-http-method-override", "DELETE"),
            ("x-original-url", "/admin"),
            ("x-other", "1"),
        ]);
        remove_overrides(&mut headers);
        assert_eq!(headers, map(&[("x-other", "1")]));
    }

    /// AK-453
    #[test]
    fn the_provider_cannot_act_on_our_origin() {
        let sent = map(&[
            ("set-cookie", "a=b"),
            ("strict-transport-security", "max-age=1"),
            ("alt-svc", "h3"),
            ("access-control-allow-origin", "*"),
            ("transfer-encoding", "chunked"),
            ("x-scalekit-source", "platform"),
            ("refresh", "0;url=https://evil.test"),
            ("link", "</x>; rel=preload"),
            ("service-worker-allowed", "/"),
            ("nel", "{}"),
            ("report-to", "{}"),
            ("reporting-endpoints", "a=\"https://evil.test\""),
            ("clear-site-data", "\"*\""),
            ("origin-agent-cluster", "?1"),
            ("sourcemap", "/x"),
            ("content-security-policy", "default-src *"),
            ("content-security-policy", "script-src *"),
            ("x-content-type-options", "none"),
            ("www-authenticate", "Bearer"),
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
            ("retry-after", "3"),
        ]);
        let kept = map(&[
            ("www-authenticate", "Bearer"),
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
            ("retry-after", "3"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "sandbox"),
        ]);
        assert_eq!(returned(&sent), kept);
    }
}
