use super::{ClientType, Error};
use ipnet::IpNet;
use keystead_types::FieldViolation;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Settings of a client that are never searched for. Stored as JSON.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientSettings {
    /// Scopes its tokens may have.
    pub scopes: Vec<String>,
    /// Claims added to its tokens, below `custom_claims` (MC-176).
    pub custom_claims: Vec<(String, String)>,
    /// Grants it may use; empty means those of its type.
    pub grant_types: Vec<String>,
    /// Where a browser may be sent after a login.
    pub post_login_uris: Vec<String>,
    /// Where a browser may be sent after a logout.
    pub post_logout_redirect_uris: Vec<String>,
    /// What is called when a session ends.
    pub back_channel_logout_uris: Vec<String>,
    /// Where a login starts that the application did not ask for.
    pub initiate_login_uri: String,
    /// Whether the code flow needs PKCE.
    pub enforce_pkce: bool,
    /// From where its credentials may be used.
    pub ip_allowlist: IpAllowlist,
}

/// Addresses from which a client's credentials may be used (MC-272).
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct IpAllowlist {
    /// Whether the list counts.
    pub opted_in: bool,
    /// The networks.
    pub cidrs: Vec<IpNet>,
}

impl IpAllowlist {
    /// Whether a request from `peer` is allowed; an unknown address is not in any list.
    pub fn allows(&self, peer: Option<IpAddr>) -> bool {
        // An IPv4 client of a dual-stack socket shows up as a mapped IPv6 address.
        let peer = peer.map(|peer| peer.to_canonical());
        !self.opted_in
            || peer.is_some_and(|peer| self.cidrs.iter().any(|cidr| cidr.contains(&peer)))
    }
}

const MAX_ITEMS: usize = 50;
const MAX_URI_BYTES: usize = 2048;
/// A custom claim may not take the place of one that the server answers for (MC-176).
const RESERVED_CLAIMS: [&str; 13] = [
    "sub",
    "iss",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "oid",
    "sid",
    "xoid",
    "xuid",
    "roles",
    "permissions",
];
/// Lifetimes of access tokens in seconds (MC-267).
const TOKEN_SECONDS: std::ops::RangeInclusive<i64> = 300..=86_400;

/// Checks what the contract's field rules cannot say.
pub(super) fn check(
    kind: ClientType,
    access_token_expiry: Option<i64>,
    settings: &ClientSettings,
) -> Result<(), Error> {
    let public = matches!(kind, ClientType::Spa | ClientType::Native);
    if access_token_expiry.is_some_and(|seconds| !TOKEN_SECONDS.contains(&seconds)) {
        return Err(invalid(
            "access_token_expiry",
            "must be between 300 and 86400 seconds",
        ));
    }
    if public
        && settings
            .grant_types
            .iter()
            .any(|grant| grant == "client_credentials")
    {
        return Err(invalid(
            "grant_types",
            "must not hold client_credentials for a public client",
        ));
    }
    for (field, uris) in [
        ("post_login_uris", &settings.post_login_uris),
        (
            "post_logout_redirect_uris",
            &settings.post_logout_redirect_uris,
        ),
        (
            "back_channel_logout_uris",
            &settings.back_channel_logout_uris,
        ),
    ] {
        if uris.len() > MAX_ITEMS {
            return Err(invalid(field, "must have at most 50 entries"));
        }
        if !uris.iter().all(|uri| is_uri(uri)) {
            return Err(invalid(
                field,
                "must hold absolute URIs without a fragment, up to 2048 bytes",
            ));
        }
    }
    if !settings.initiate_login_uri.is_empty() && !is_uri(&settings.initiate_login_uri) {
        return Err(invalid(
            "initiate_login_uri",
            "must be an absolute URI without a fragment",
        ));
    }
    if settings.scopes.len() > MAX_ITEMS || !settings.scopes.iter().all(|scope| is_scope(scope)) {
        return Err(invalid(
            "scopes",
            "must hold at most 50 scopes without spaces, quotes or backslashes",
        ));
    }
    if settings.custom_claims.len() > MAX_ITEMS {
        return Err(invalid("custom_claims", "must have at most 50 entries"));
    }
    if settings
        .custom_claims
        .iter()
        .any(|(key, _)| RESERVED_CLAIMS.contains(&key.as_str()))
    {
        return Err(invalid(
            "custom_claims",
            "must not use the name of a claim that the server sets",
        ));
    }
    let list = &settings.ip_allowlist;
    if list.opted_in && list.cidrs.is_empty() {
        return Err(invalid(
            "ip_allowlist",
            "must name at least one network when it is opted in",
        ));
    }
    if list.cidrs.len() > MAX_ITEMS || list.cidrs.iter().any(|cidr| cidr.prefix_len() == 0) {
        return Err(invalid(
            "ip_allowlist",
            "must name at most 50 networks, none of which is the whole internet",
        ));
    }
    Ok(())
}

fn invalid(field: &str, description: &str) -> Error {
    let field = format!("client.{field}");
    Error::Invalid(FieldViolation {
        field,
        description: description.to_owned(),
        constraint: "client".to_owned(),
    })
}

fn is_uri(uri: &str) -> bool {
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    let known = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !["javascript", "data", "vbscript", "file", "blob"]
            .contains(&scheme.to_ascii_lowercase().as_str());
    let clean = uri
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#');
    known && clean && uri.len() <= MAX_URI_BYTES && uri.len() > scheme.len() + 1
}

/// RFC 6749 section 3.3.
fn is_scope(scope: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    (1..=100).contains(&scope.len()) && scope.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(settings: &ClientSettings) -> Option<String> {
        match check(ClientType::WebApp, None, settings) {
            Err(Error::Invalid(violation)) => Some(violation.field),
            _ => None,
        }
    }

    /// LG-072, MC-272
    #[test]
    fn the_allow_list_decides_by_address() {
        let list = IpAllowlist {
            opted_in: true,
            cidrs: vec!["10.0.0.0/8".parse().unwrap()],
        };
        assert!(list.allows(Some("10.1.2.3".parse().unwrap())));
        assert!(list.allows(Some("::ffff:10.1.2.3".parse().unwrap())));
        assert!(!list.allows(Some("11.1.2.3".parse().unwrap())));
        assert!(!list.allows(None));
        assert!(IpAllowlist::default().allows(None));
    }

    /// LG-072, MC-272, MC-176, part of LG-286
    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let allow = |opted_in, cidrs: &[&str]| {
            let cidrs = cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect();
            ClientSettings {
                ip_allowlist: IpAllowlist { opted_in, cidrs },
                ..ClientSettings::default()
            }
        };
        assert_eq!(
            field(&allow(true, &[])).as_deref(),
            Some("client.ip_allowlist")
        );
        assert_eq!(
            field(&allow(true, &["0.0.0.0/0"])).as_deref(),
            Some("client.ip_allowlist")
        );
        assert_eq!(field(&allow(true, &["10.0.0.0/8"])), None);

        let claims = vec![("sub".to_owned(), "x".to_owned())];
        let settings = ClientSettings {
            custom_claims: claims,
            ..ClientSettings::default()
        };
        assert_eq!(field(&settings).as_deref(), Some("client.custom_claims"));
        for (uri, good) in [
            ("https://app.test/cb", true),
            ("myapp://cb", true),
            ("javascript:alert(1)", false),
            ("https://app.test/#x", false),
            ("/cb", false),
        ] {
            let post_login_uris = vec![uri.to_owned()];
            let settings = ClientSettings {
                post_login_uris,
                ..ClientSettings::default()
            };
            assert_eq!(field(&settings).is_none(), good, "{uri}");
        }
        assert!(check(ClientType::WebApp, Some(60), &ClientSettings::default()).is_err());
    }
}
