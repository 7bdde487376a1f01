//! The documents that tell clients where the endpoints are. Only what this server really does is
//! in them.

use serde::Serialize;

/// `/.well-known/openid-configuration` and `/.well-known/oauth-authorization-server` (LG-001, LG-005).
#[derive(Serialize, Debug)]
pub struct Metadata {
    issuer: String,
    token_endpoint: String,
    jwks_uri: String,
    grant_types_supported: &'static [&'static str],
    /// Required by RFC 8414 even though no response type exists yet.
    response_types_supported: &'static [&'static str],
    subject_types_supported: &'static [&'static str],
    id_token_signing_alg_values_supported: &'static [&'static str],
    token_endpoint_auth_methods_supported: &'static [&'static str],
    scopes_supported: &'static [&'static str],
}

/// Scopes every client may name. They change nothing for machine tokens and are accepted because
/// published samples send them (MC-280).
pub const OIDC_SCOPES: &[&str] = &["openid", "profile", "email"];

/// Describes the authorization server of the environment whose issuer is `issuer` (LG-001).
pub fn metadata(issuer: &str) -> Metadata {
    Metadata {
        issuer: issuer.to_owned(),
        token_endpoint: format!("{issuer}/oauth/token"),
        jwks_uri: format!("{issuer}/keys"),
        grant_types_supported: &["client_credentials"],
        response_types_supported: &[],
        subject_types_supported: &["public"],
        id_token_signing_alg_values_supported: &["RS256"],
        token_endpoint_auth_methods_supported: &["client_secret_post", "client_secret_basic"],
        scopes_supported: OIDC_SCOPES,
    }
}

#[cfg(test)]
mod tests {
    use super::metadata;

    /// MC-040, part of LG-001: endpoints live under the issuer, which has no trailing slash.
    #[test]
    fn endpoints_live_under_the_issuer() {
        let document = serde_json::to_value(metadata("https://acme.example")).unwrap();
        assert_eq!(document["issuer"], "https://acme.example");
        assert_eq!(
            document["token_endpoint"],
            "https://acme.example/oauth/token"
        );
        assert_eq!(document["jwks_uri"], "https://acme.example/keys");
        assert!(document.get("registration_endpoint").is_none(), "MC-040");
    }
}
