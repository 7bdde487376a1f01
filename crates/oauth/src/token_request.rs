use crate::encode;
use base64::{Engine, prelude::BASE64_STANDARD};
use keystead_types::Secret;
use std::str::FromStr;
use zeroize::Zeroizing;

/// Content type of every token request.
pub const FORM_CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// How the client proves who it is at the token endpoint (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ClientAuthentication {
    /// Id and secret in the form.
    #[default]
    Post,
    /// Id and secret in an `Authorization: Basic` header.
    Basic,
    /// Public client: only the id, in the form.
    None,
}

/// Not a supported `token_endpoint_auth_method`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the client authentication must be client_secret_post, client_secret_basic or none")]
pub struct UnknownAuthentication;

impl ClientAuthentication {
    /// The registered name (RFC 7591).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "client_secret_post",
            Self::Basic => "client_secret_basic",
            Self::None => "none",
        }
    }

    /// What to try once when the provider answers `invalid_client` (AK-227).
    pub const fn alternative(self) -> Option<Self> {
        match self {
            Self::Post => Some(Self::Basic),
            Self::Basic => Some(Self::Post),
            Self::None => None,
        }
    }
}

impl FromStr for ClientAuthentication {
    type Err = UnknownAuthentication;

    fn from_str(text: &str) -> Result<Self, UnknownAuthentication> {
        [Self::Post, Self::Basic, Self::None]
            .into_iter()
            .find(|method| method.as_str() == text)
            .ok_or(UnknownAuthentication)
    }
}

/// The client that asks.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Client id.
    pub id: &'a str,
    /// Client secret; `None` for a public client.
    pub secret: Option<&'a Secret<String>>,
    /// How the two are sent.
    pub authentication: ClientAuthentication,
}

/// What is exchanged for tokens.
#[derive(Clone, Copy, Debug)]
pub enum Grant<'a> {
    /// The code of the callback (RFC 6749, section 4.1.3).
    AuthorizationCode {
        /// The code.
        code: &'a Secret<String>,
        /// The same address as in the authorization URL.
        redirect_uri: &'a str,
        /// PKCE verifier.
        verifier: Option<&'a Secret<String>>,
    },
    /// A refresh token (section 6). Scopes are never sent: that could only narrow the grant.
    RefreshToken {
        /// The token.
        token: &'a Secret<String>,
    },
    /// The client itself (section 4.4).
    ClientCredentials {
        /// Scopes, already joined; left out when empty.
        scope: &'a str,
    },
    /// A signed assertion (RFC 7523, section 2.1), which names the client itself: give no client.
    JwtBearer {
        /// The assertion.
        assertion: &'a Secret<String>,
    },
}

impl Grant<'_> {
    fn parameters(&self) -> Vec<(&str, &str)> {
        match self {
            Self::AuthorizationCode {
                code,
                redirect_uri,
                verifier,
            } => {
                let mut pairs = vec![
                    ("grant_type", "authorization_code"),
                    ("code", code.expose().as_str()),
                    ("redirect_uri", *redirect_uri),
                ];
                pairs
                    .extend(verifier.map(|verifier| ("code_verifier", verifier.expose().as_str())));
                pairs
            }
            Self::RefreshToken { token } => {
                vec![
                    ("grant_type", "refresh_token"),
                    ("refresh_token", token.expose()),
                ]
            }
            Self::ClientCredentials { scope } => {
                let mut pairs = vec![("grant_type", "client_credentials")];
                pairs.extend(Some(("scope", *scope)).filter(|(_, scope)| !scope.is_empty()));
                pairs
            }
            Self::JwtBearer { assertion } => vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", assertion.expose()),
            ],
        }
    }
}

/// A POST to the token endpoint. Send it with `Accept: application/json`.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Body, of [`FORM_CONTENT_TYPE`].
    pub body: Secret<String>,
    /// `Authorization` header.
    pub authorization: Option<Secret<String>>,
}

impl TokenRequest {
    /// Builds the request. `extra` holds what the provider wants besides, such as `resource` or
    /// `audience`; it cannot replace what the grant or the client sets.
    pub fn new(client: Option<&Client<'_>>, grant: &Grant<'_>, extra: &[(String, String)]) -> Self {
        let mut pairs = grant.parameters();
        let mut authorization = None;
        if let Some(client) = client {
            match (client.authentication, client.secret) {
                (ClientAuthentication::Basic, Some(secret)) => {
                    authorization = Some(basic(client.id, secret));
                }
                (ClientAuthentication::Post, Some(secret)) => {
                    pairs.extend([("client_id", client.id), ("client_secret", secret.expose())]);
                }
                _ => pairs.push(("client_id", client.id)),
            }
        }
        for (name, value) in extra {
            let free = name != "client_id"
                && name != "client_secret"
                && pairs.iter().all(|(taken, _)| taken != name);
            if free {
                pairs.push((name, value));
            }
        }
        Self {
            body: Secret::new(encode::pairs(pairs)),
            authorization,
        }
    }
}

/// Both halves are form-encoded first, which matters for a secret with `:` or `+` in it.
fn basic(id: &str, secret: &Secret<String>) -> Secret<String> {
    let secret = Zeroizing::new(encode::percent(secret.expose()));
    let pair = Zeroizing::new([&encode::percent(id), ":", &secret].concat());
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
    Secret::new(["Basic ", &encoded].concat())
}

#[cfg(test)]
mod tests {
    use super::{Client, ClientAuthentication, Grant, TokenRequest};
    use keystead_types::Secret;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.into())
    }

    #[test]
    fn every_grant_has_its_form() {
        let (code, verifier) = (secret("co de"), secret("ver"));
        let cases = [
            (
                Grant::AuthorizationCode {
                    code: &code,
                    redirect_uri: "https://id.test/cb",
                    verifier: Some(&verifier),
                },
                "grant_type=authorization_code&code=co%20de&redirect_uri=https%3A%2F%2Fid.test%2Fcb&code_verifier=ver",
            ),
            (
                Grant::AuthorizationCode {
                    code: &code,
                    redirect_uri: "x",
                    verifier: None,
                },
                "grant_type=authorization_code&code=co%20de&redirect_uri=x",
            ),
            (
                Grant::RefreshToken { token: &code },
                "grant_type=refresh_token&refresh_token=co%20de",
            ),
            (
                Grant::ClientCredentials { scope: "a b" },
                "grant_type=client_credentials&scope=a%20b",
            ),
            (
                Grant::ClientCredentials { scope: "" },
                "grant_type=client_credentials",
            ),
            (
                Grant::JwtBearer {
                    assertion: &verifier,
                },
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ver",
            ),
        ];
        for (grant, expected) in cases {
            assert_eq!(TokenRequest::new(None, &grant, &[]).body.expose(), expected);
        }
    }

    /// Part of AK-105, part of AK-227.
    #[test]
    fn clients_authenticate_as_configured() {
        let key = secret("p:w+ü");
        let cases = [
            (
                ClientAuthentication::Post,
                Some(&key),
                "&client_id=id%3A1&client_secret=p%3Aw%2B%C3%BC",
                None,
            ),
            // base64("id%3A1:p%3Aw%2B%C3%BC")
            (
                ClientAuthentication::Basic,
                Some(&key),
                "",
                Some("Basic aWQlM0ExOnAlM0F3JTJCJUMzJUJD"),
            ),
            (
                ClientAuthentication::None,
                Some(&key),
                "&client_id=id%3A1",
                None,
            ),
            (ClientAuthentication::Post, None, "&client_id=id%3A1", None),
            (ClientAuthentication::Basic, None, "&client_id=id%3A1", None),
        ];
        for (authentication, secret, body, header) in cases {
            let client = Client {
                id: "id:1",
                secret,
                authentication,
            };
            let request =
                TokenRequest::new(Some(&client), &Grant::ClientCredentials { scope: "" }, &[]);
            assert_eq!(
                request.body.expose(),
                &format!("grant_type=client_credentials{body}")
            );
            assert_eq!(
                request
                    .authorization
                    .as_ref()
                    .map(|header| header.expose().as_str()),
                header
            );
            assert!(
                !format!("{request:?}").contains("id"),
                "nothing of it may reach a log"
            );
        }
    }

    #[test]
    fn extra_parameters_are_added_but_replace_nothing() {
        let token = secret("rt");
        let extra = [
            ("grant_type", "password"),
            ("client_secret", "x"),
            ("resource", "https://mcp.test"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let request = TokenRequest::new(None, &Grant::RefreshToken { token: &token }, &extra);
        assert_eq!(
            request.body.expose(),
            "grant_type=refresh_token&refresh_token=rt&resource=https%3A%2F%2Fmcp.test"
        );
    }

    #[test]
    fn authentication_methods_have_their_registered_names() {
        for method in [
            ClientAuthentication::Post,
            ClientAuthentication::Basic,
            ClientAuthentication::None,
        ] {
            assert_eq!(method.as_str().parse(), Ok(method));
        }
        assert!("private_key_jwt".parse::<ClientAuthentication>().is_err());
        assert_eq!(ClientAuthentication::default(), ClientAuthentication::Post);
        assert_eq!(
            ClientAuthentication::Post.alternative(),
            Some(ClientAuthentication::Basic)
        );
        assert_eq!(ClientAuthentication::None.alternative(), None);
    }
}
