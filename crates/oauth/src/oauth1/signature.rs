use crate::encode::{pairs, percent};
use aws_lc_rs::hmac;
use base64::{Engine, prelude::*};
use keystead_types::{Rng, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

/// The application, as registered with the provider.
#[derive(Clone, Copy, Debug)]
pub struct Consumer<'a> {
    /// Consumer key.
    pub key: &'a str,
    /// Consumer secret.
    pub secret: &'a Secret<String>,
    /// How it signs.
    pub method: SignatureMethod,
}

/// How requests are signed (section 3.4). RSA-SHA1 is left out: no provider we know of asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub enum SignatureMethod {
    /// A hash of the request, keyed with both secrets.
    #[default]
    #[serde(rename = "HMAC-SHA1")]
    HmacSha1,
    /// The secrets themselves; over TLS only.
    #[serde(rename = "PLAINTEXT")]
    Plaintext,
}

impl SignatureMethod {
    const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::Plaintext => "PLAINTEXT",
        }
    }
}

/// A token and its secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenPair {
    /// The token.
    pub token: Secret<String>,
    /// The secret that signs with it.
    pub secret: Secret<String>,
}

/// What makes each request different, so that it cannot be replayed (section 3.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stamp {
    seconds: i64,
    nonce: String,
}

impl Stamp {
    /// Draws a nonce of 128 bits.
    pub fn new(now: Timestamp, rng: &dyn Rng) -> Self {
        let mut bytes = [0; 16];
        rng.fill(&mut bytes);
        Self {
            seconds: now.as_secs(),
            nonce: BASE64_URL_SAFE_NO_PAD.encode(bytes),
        }
    }
}

/// The request cannot be signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignatureError {
    /// Not a web address.
    #[error("the URL to sign must be an absolute http or https address")]
    Url,
    /// PLAINTEXT would show the secrets to the network (section 3.4.4).
    #[error("the signature method PLAINTEXT needs an https address")]
    NotEncrypted,
}

/// A request to be signed.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// Method in upper case.
    pub method: &'a str,
    /// Whole URL; its query is signed too.
    pub url: &'a str,
    /// Decoded fields of a form body; empty for any other body.
    pub form: &'a [(String, String)],
}

impl SignedRequest<'_> {
    /// Makes the `Authorization` header with a signature (section 3.5.1).
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn authorization(
        &self,
        consumer: &Consumer<'_>,
        token: Option<&TokenPair>,
        stamp: &Stamp,
    ) -> Result<Secret<String>, SignatureError> {
        self.sign(consumer, token, stamp, None)
    }

    /// Like [`SignedRequest::authorization`], with `oauth_callback` or `oauth_verifier`.
    pub(super) fn sign(
        &self,
        consumer: &Consumer<'_>,
        token: Option<&TokenPair>,
        stamp: &Stamp,
        step: Option<(&str, &str)>,
    ) -> Result<Secret<String>, SignatureError> {
        let seconds = stamp.seconds.to_string();
        let mut protocol = vec![
            ("oauth_consumer_key", consumer.key),
            ("oauth_nonce", &stamp.nonce),
            ("oauth_signature_method", consumer.method.as_str()),
            ("oauth_timestamp", &seconds),
        ];
        protocol.extend(token.map(|pair| ("oauth_token", pair.token.expose().as_str())));
        protocol.extend(step);

        let base = Zeroizing::new(self.base_string(&protocol)?);
        let encoded = |secret: &Secret<String>| Zeroizing::new(percent(secret.expose()));
        let token_secret = token.map(|pair| encoded(&pair.secret)).unwrap_or_default();
        let key = Zeroizing::new([&encoded(consumer.secret), "&", &token_secret].concat());
        let signature = Zeroizing::new(match consumer.method {
            SignatureMethod::HmacSha1 => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
                BASE64_STANDARD.encode(hmac::sign(&key, base.as_bytes()))
            }
            // SECURITY: what is sent are the secrets, so nothing but TLS may carry them.
            SignatureMethod::Plaintext if !is_encrypted(self.url) => {
                return Err(SignatureError::NotEncrypted);
            }
            SignatureMethod::Plaintext => key.to_string(),
        });
        protocol.push(("oauth_signature", &signature));
        Ok(header(&protocol))
    }

    /// Section 3.4.1.
    fn base_string(&self, protocol: &[(&str, &str)]) -> Result<String, SignatureError> {
        let mut url = Url::parse(self.url).map_err(|_| SignatureError::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(SignatureError::Url);
        }
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let encoded = |name: &str, value: &str| (percent(name), percent(value));
        let mut all: Vec<(String, String)> = query
            .iter()
            .chain(self.form)
            .map(|(n, v)| encoded(n, v))
            .collect();
        all.extend(protocol.iter().map(|(name, value)| encoded(name, value)));
        all.sort_unstable();
        url.set_query(None);
        url.set_fragment(None);
        let parameters = Zeroizing::new(
            all.iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join("&"),
        );
        Ok(format!(
            "{}&{}&{}",
            percent(self.method),
            percent(url.as_str()),
            percent(&parameters)
        ))
    }
}

fn is_encrypted(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "https")
}

/// `OAuth a="1", b="2"` (section 3.5.1).
pub(super) fn header(parameters: &[(&str, &str)]) -> Secret<String> {
    let parameters: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{}\"", pairs([(*name, *value)]).replacen('=', "=\"", 1)))
        .collect();
    Secret::new(format!("OAuth {}", parameters.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{Consumer, SignatureError, SignatureMethod, SignedRequest, Stamp, TokenPair};
    use keystead_types::Secret;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.into())
    }

    /// RFC 5849, section 3.4.1.1.
    #[test]
    fn base_string_is_that_of_the_rfc() {
        let form = [
            ("c2".to_owned(), String::new()),
            ("a3".to_owned(), "2 q".to_owned()),
        ];
        let request = SignedRequest {
            method: "POST",
            url: "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b",
            form: &form,
        };
        let protocol = [
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
        ];
        assert_eq!(
            request.base_string(&protocol).unwrap(),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26\
             oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26\
             oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
    }

    /// RFC 5849, section 1.2: fetching the token, then the photo.
    #[test]
    fn signatures_are_those_of_the_rfc() {
        let consumer_secret = secret("kd94hf93k423kf44");
        let consumer = Consumer {
            key: "dpf43f3p2l4k3l03",
            secret: &consumer_secret,
            method: SignatureMethod::HmacSha1,
        };

        let temporary = TokenPair {
            token: secret("hh5s93j4hdidpola"),
            secret: secret("hdhd0244k9j7ao03"),
        };
        let header = SignedRequest {
            method: "POST",
            url: "https://photos.example.net/token",
            form: &[],
        }
        .sign(
            &consumer,
            Some(&temporary),
            &Stamp {
                seconds: 137_131_201,
                nonce: "walatlh".into(),
            },
            Some(("oauth_verifier", "hfdp7dh39dks9884")),
        )
        .unwrap();
        assert!(
            header
                .expose()
                .ends_with(r#"oauth_signature="gKgrFCywp7rO0OXSjdot%2FIHF7IU%3D""#)
        );

        let token = TokenPair {
            token: secret("nnch734d00sl2jdk"),
            secret: secret("pfkkdhi9sl3r4s00"),
        };
        let header = SignedRequest {
            method: "GET",
            url: "http://photos.example.net/photos?file=vacation.jpg&size=original",
            form: &[],
        }
        .authorization(
            &consumer,
            Some(&token),
            &Stamp {
                seconds: 137_131_202,
                nonce: "chapoH".into(),
            },
        )
        .unwrap();
        assert_eq!(
            header.expose(),
            "OAuth oauth_consumer_key=\"dpf43f3p2l4k3l03\", oauth_nonce=\"chapoH\", \
             oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"137131202\", oauth_token=\"nnch734d00sl2jdk\", \
             oauth_signature=\"MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D\""
        );
    }

    /// RFC 5849, section 2.1: its example of a PLAINTEXT request.
    #[test]
    fn plaintext_is_both_secrets_over_tls_only() {
        let consumer_secret = secret("ja893SD9");
        let consumer = Consumer {
            key: "jd83jd92dhsh93js",
            secret: &consumer_secret,
            method: SignatureMethod::Plaintext,
        };
        let stamp = Stamp {
            seconds: 1,
            nonce: "n".into(),
        };
        let signed = |url, token: Option<&TokenPair>| {
            let request = SignedRequest {
                method: "POST",
                url,
                form: &[],
            };
            request.authorization(&consumer, token, &stamp)
        };
        let header = signed("https://server.example.com/request", None).unwrap();
        assert!(
            header
                .expose()
                .contains(r#"oauth_signature_method="PLAINTEXT""#)
        );
        assert!(
            header
                .expose()
                .ends_with(r#"oauth_signature="ja893SD9%26""#)
        );
        let pair = TokenPair {
            token: secret("hdk48Djdsa"),
            secret: secret("xyz4992k83j47x0b"),
        };
        let header = signed("https://server.example.com/token", Some(&pair)).unwrap();
        assert!(
            header
                .expose()
                .ends_with(r#"oauth_signature="ja893SD9%26xyz4992k83j47x0b""#)
        );
        assert_eq!(
            signed("http://server.example.com/token", Some(&pair)).unwrap_err(),
            SignatureError::NotEncrypted
        );
    }

    #[test]
    fn only_web_addresses_are_signed() {
        let consumer_secret = secret("s");
        let consumer = Consumer {
            key: "k",
            secret: &consumer_secret,
            method: SignatureMethod::HmacSha1,
        };
        let stamp = Stamp {
            seconds: 1,
            nonce: "n".into(),
        };
        for url in ["", "/path", "ftp://p.test/"] {
            let request = SignedRequest {
                method: "GET",
                url,
                form: &[],
            };
            assert_eq!(
                request.authorization(&consumer, None, &stamp).unwrap_err(),
                SignatureError::Url
            );
        }
    }
}
