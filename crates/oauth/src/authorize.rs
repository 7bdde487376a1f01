use crate::encode;
use std::collections::HashSet;
use url::Url;

/// Parameters that only this crate sets.
const RESERVED: [&str; 6] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
    "code_challenge",
    "code_challenge_method",
];

/// An authorization URL cannot be built from these settings.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AuthorizeError {
    /// Not an absolute `http(s)` URL with a host, or with a user name in it.
    #[error("the authorization URL must be an absolute http or https address without user name")]
    Endpoint,
    /// An extra parameter would replace one that protects the flow.
    #[error("{0} cannot be set as an extra parameter")]
    Reserved(String),
    /// Two settings fill the same parameter.
    #[error("the parameter {0} is set twice")]
    Repeated(String),
}

/// Scopes and how the provider wants them.
#[derive(Clone, Copy, Debug)]
pub struct Scopes<'a> {
    /// The parameter; some providers have a name of their own (`user_scope`).
    pub parameter: &'a str,
    /// The scopes; the parameter is left out when there is none.
    pub values: &'a [String],
    /// Between two scopes.
    pub separator: &'a str,
}

impl Default for Scopes<'_> {
    fn default() -> Self {
        Self {
            parameter: "scope",
            values: &[],
            separator: " ",
        }
    }
}

/// What the browser is sent to the provider with (AK-308).
#[derive(Clone, Copy, Debug)]
pub struct AuthorizeRequest<'a> {
    /// Authorization endpoint. Its own query is kept.
    pub endpoint: &'a str,
    /// The client.
    pub client_id: &'a str,
    /// Where the provider sends the browser back.
    pub redirect_uri: &'a str,
    /// Single-use value of at least 128 bits that ties the callback to this flow.
    pub state: &'a str,
    /// What is asked for.
    pub scopes: Scopes<'a>,
    /// Scopes in a parameter of their own that the user may refuse (`optional_scope`).
    pub optional_scopes: Option<Scopes<'a>>,
    /// PKCE challenge, always S256.
    pub challenge: Option<&'a str>,
    /// `prompt`, `access_type`, `resource` and whatever else the provider wants (AK-105).
    pub extra: &'a [(String, String)],
}

impl AuthorizeRequest<'_> {
    /// Builds the URL.
    ///
    /// `response_type=code` may be repeated in `extra`; any other value for it is refused, and so
    /// is everything that would replace client, redirect address, state or challenge.
    ///
    /// # Errors
    /// [`AuthorizeError`].
    pub fn url(&self) -> Result<Url, AuthorizeError> {
        let scope = join(self.scopes);
        let optional = self.optional_scopes.map(join).unwrap_or_default();
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", self.client_id),
            ("redirect_uri", self.redirect_uri),
            ("state", self.state),
        ];
        if let Some(challenge) = self.challenge {
            pairs.extend([
                ("code_challenge", challenge),
                ("code_challenge_method", "S256"),
            ]);
        }
        if !scope.is_empty() {
            pairs.push((self.scopes.parameter, &scope));
        }
        if let Some(scopes) = self.optional_scopes
            && !optional.is_empty()
        {
            pairs.push((scopes.parameter, &optional));
        }
        for (name, value) in self.extra {
            match name.as_str() {
                "response_type" if value == "code" => (),
                name if RESERVED.contains(&name) => {
                    return Err(AuthorizeError::Reserved(name.to_owned()));
                }
                name => pairs.push((name, value)),
            }
        }
        let mut seen = HashSet::new();
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !seen.insert(*name)) {
            return Err(AuthorizeError::Repeated((*name).to_owned()));
        }
        with_query(self.endpoint, &pairs)
    }
}

fn join(scopes: Scopes<'_>) -> String {
    scopes.values.join(scopes.separator)
}

/// Adds `pairs` to an endpoint; a parameter that the endpoint already has is replaced.
///
/// RFC 6749 forbids a fragment, yet some providers route by it; the query then goes to its end.
pub(crate) fn with_query(endpoint: &str, pairs: &[(&str, &str)]) -> Result<Url, AuthorizeError> {
    let mut url = Url::parse(endpoint).map_err(|_| AuthorizeError::Endpoint)?;
    let plain = matches!(url.scheme(), "http" | "https") && url.has_host();
    if !plain || !url.username().is_empty() || url.password().is_some() {
        return Err(AuthorizeError::Endpoint);
    }
    if let Some(fragment) = url.fragment().filter(|fragment| !fragment.is_empty()) {
        let separator = if fragment.contains('?') { '&' } else { '?' };
        let fragment = format!(
            "{fragment}{separator}{}",
            encode::pairs(pairs.iter().copied())
        );
        url.set_fragment(Some(&fragment));
        return Ok(url);
    }
    let own: Vec<(String, String)> = url
        .query_pairs()
        .into_owned()
        .filter(|(name, _)| pairs.iter().all(|(other, _)| other != name))
        .collect();
    let own = own
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    url.set_query(Some(&encode::pairs(own.chain(pairs.iter().copied()))));
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::{AuthorizeError, AuthorizeRequest, Scopes};
    use proptest::prelude::*;

    fn request<'a>(endpoint: &'a str, extra: &'a [(String, String)]) -> AuthorizeRequest<'a> {
        AuthorizeRequest {
            endpoint,
            client_id: "client",
            redirect_uri: "https://id.test/cb",
            state: "st",
            scopes: Scopes::default(),
            optional_scopes: None,
            challenge: None,
            extra,
        }
    }

    fn extra(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    /// AK-308.
    #[test]
    fn all_settings_reach_the_url() {
        let extra = extra(&[
            ("prompt", "consent"),
            ("access_type", "offline"),
            ("resource", "https://mcp.test/a b"),
        ]);
        let request = AuthorizeRequest {
            scopes: Scopes {
                parameter: "user_scope",
                values: &["a:b".into(), "c".into()],
                separator: ",",
            },
            optional_scopes: Some(Scopes {
                parameter: "optional_scope",
                values: &["d".into(), "e".into()],
                separator: " ",
            }),
            challenge: Some("xyz"),
            ..request("https://provider.test/authorize", &extra)
        };
        assert_eq!(
            request.url().unwrap().as_str(),
            "https://provider.test/authorize?response_type=code&client_id=client&redirect_uri=https%3A%2F%2Fid.test%2Fcb\
             &state=st&code_challenge=xyz&code_challenge_method=S256&user_scope=a%3Ab%2Cc&optional_scope=d%20e\
             &prompt=consent&access_type=offline&resource=https%3A%2F%2Fmcp.test%2Fa%20b"
        );
    }

    #[test]
    fn endpoints_keep_their_query_and_hash_routes_get_it_last() {
        let tail =
            "response_type=code&client_id=client&redirect_uri=https%3A%2F%2Fid.test%2Fcb&state=st";
        let cases = [
            (
                "https://p.test/a?owner=user",
                format!("https://p.test/a?owner=user&{tail}"),
            ),
            (
                "https://p.test/a?state=theirs&x=1",
                format!("https://p.test/a?x=1&{tail}"),
            ),
            (
                "https://p.test/#/oauth",
                format!("https://p.test/#/oauth?{tail}"),
            ),
            (
                "https://p.test/#/oauth?a=1",
                format!("https://p.test/#/oauth?a=1&{tail}"),
            ),
            ("https://p.test/a#", format!("https://p.test/a?{tail}")),
            (
                "http://localhost:9000/a",
                format!("http://localhost:9000/a?{tail}"),
            ),
        ];
        for (endpoint, expected) in cases {
            assert_eq!(request(endpoint, &[]).url().unwrap().as_str(), expected);
        }
    }

    #[test]
    fn protected_and_repeated_parameters_are_refused() {
        let cases = [
            (
                ("redirect_uri", "https://evil.test"),
                AuthorizeError::Reserved("redirect_uri".into()),
            ),
            (("state", "x"), AuthorizeError::Reserved("state".into())),
            (
                ("code_challenge_method", "plain"),
                AuthorizeError::Reserved("code_challenge_method".into()),
            ),
            (
                ("response_type", "token"),
                AuthorizeError::Reserved("response_type".into()),
            ),
            (("scope", "x"), AuthorizeError::Repeated("scope".into())),
        ];
        for ((name, value), expected) in cases {
            let extra = extra(&[(name, value)]);
            let values = ["read".to_owned()];
            let request = AuthorizeRequest {
                scopes: Scopes {
                    values: &values,
                    ..Scopes::default()
                },
                ..request("https://p.test/a", &extra)
            };
            assert_eq!(request.url().unwrap_err(), expected);
        }
        assert!(
            request("https://p.test/a", &extra(&[("response_type", "code")]))
                .url()
                .is_ok()
        );
    }

    #[test]
    fn endpoints_must_be_plain_web_addresses() {
        for endpoint in [
            "",
            "/authorize",
            "p.test/a",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://",
            "https://user:pw@p.test/",
        ] {
            assert_eq!(
                request(endpoint, &[]).url().unwrap_err(),
                AuthorizeError::Endpoint,
                "{endpoint}"
            );
        }
    }

    proptest! {
        #[test]
        fn values_never_leak_into_other_parameters(state in ".{1,40}", value in ".{0,40}") {
            let extra = extra(&[("login_hint", &value)]);
            let request = AuthorizeRequest { state: &state, ..request("https://p.test/a", &extra) };
            let url = request.url().unwrap();
            let read: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            prop_assert_eq!(read.len(), 5);
            prop_assert_eq!(&read[3], &("state".to_owned(), state));
            prop_assert_eq!(&read[4], &("login_hint".to_owned(), value));
        }
    }
}
