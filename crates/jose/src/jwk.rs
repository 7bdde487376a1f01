use aws_lc_rs::{
    rsa::PublicKeyComponents,
    signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, fmt};

/// A public key as JSON (RFC 7517). Members that RS256 does not need are ignored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Jwk {
    /// Key type: `RSA`.
    pub kty: String,
    /// Intended use: `sig`.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// Algorithm: `RS256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// Key id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// Modulus, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// Exponent, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
}

impl Jwk {
    pub(crate) fn rs256(kid: Option<String>, modulus: String, exponent: String) -> Self {
        Self {
            kty: "RSA".into(),
            usage: Some("sig".into()),
            alg: Some("RS256".into()),
            kid,
            n: Some(modulus),
            e: Some(exponent),
        }
    }

    /// Whether the key may verify RS256 signatures at all.
    fn is_rs256(&self) -> bool {
        self.kty == "RSA"
            && self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.alg.as_deref().is_none_or(|alg| alg == "RS256")
    }
}

/// A published key set: the body of a `jwks_uri`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// A key of a set cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidJwk {
    /// A key without `kid` could not be told from others.
    #[error("a key has no kid")]
    NoKeyId,
    /// Two keys share a `kid`.
    #[error("two keys have the kid {0:?}")]
    DuplicateKeyId(String),
    /// The modulus or exponent is absent, not base64url, or no RSA key of 2048 to 8192 bits.
    #[error("the key {0:?} is not a valid RSA key")]
    NotRsa(String),
}

/// Public keys ready to verify with, found by key id.
#[derive(Clone, Default)]
pub struct KeySet(HashMap<String, ParsedPublicKey>);

impl KeySet {
    /// Parses the RS256 keys; keys for other algorithms or uses are left out.
    ///
    /// # Errors
    /// [`InvalidJwk`] when an RS256 key cannot be used.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a Jwk>) -> Result<Self, InvalidJwk> {
        let mut set = HashMap::new();
        for jwk in keys.into_iter().filter(|jwk| jwk.is_rs256()) {
            let kid = jwk.kid.clone().ok_or(InvalidJwk::NoKeyId)?;
            let key = parse(jwk).ok_or_else(|| InvalidJwk::NotRsa(kid.clone()))?;
            if set.insert(kid.clone(), key).is_some() {
                return Err(InvalidJwk::DuplicateKeyId(kid));
            }
        }
        Ok(Self(set))
    }

    pub(crate) fn find(&self, kid: &str) -> Option<&ParsedPublicKey> {
        self.0.get(kid)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn parse(jwk: &Jwk) -> Option<ParsedPublicKey> {
    let bytes = |text: &Option<String>| BASE64_URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
    let components = PublicKeyComponents {
        n: bytes(&jwk.n)?,
        e: bytes(&jwk.e)?,
    };
    // Too small a modulus is only noticed by the library when a signature is checked.
    (256..=1024).contains(&components.n.len()).then_some(())?;
    components
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{InvalidJwk, JwkSet, KeySet};
    use crate::{RsaKey, Signer};
    use serde_json::json;

    #[test]
    fn a_published_set_names_key_use_and_algorithm() {
        let key = RsaKey::generate().unwrap();
        let set = JwkSet {
            keys: vec![key.public_jwk()],
        };
        let text = serde_json::to_value(&set).unwrap();
        assert_eq!(text["keys"][0]["kty"], "RSA");
        assert_eq!(text["keys"][0]["use"], "sig");
        assert_eq!(text["keys"][0]["alg"], "RS256");
        assert_eq!(text["keys"][0]["e"], "AQAB");
        assert_eq!(text["keys"][0]["kid"], key.key_id().unwrap());
        assert_eq!(
            text["keys"][0].as_object().unwrap().len(),
            6,
            "nothing private is published"
        );
        assert_eq!(serde_json::from_value::<JwkSet>(text).unwrap(), set);
    }

    #[test]
    fn foreign_keys_are_left_out_and_broken_ones_refused() {
        let good = RsaKey::generate().unwrap().public_jwk();
        let set: JwkSet = serde_json::from_value(json!({"keys": [
            {"kty": "EC", "crv": "P-256", "kid": "ec", "x": "AA", "y": "AA"},
            {"kty": "oct", "kid": "oct", "k": "c2VjcmV0"},
            {"kty": "RSA", "use": "enc", "kid": "enc", "n": good.n, "e": "AQAB"},
            {"kty": "RSA", "alg": "RS512", "kid": "rs512", "n": good.n, "e": "AQAB"},
            {"kty": "RSA", "kid": "good", "n": good.n, "e": "AQAB", "x5c": ["ignored"]},
        ]}))
        .unwrap();
        let keys = KeySet::new(&set.keys).unwrap();
        assert_eq!(format!("{keys:?}"), r#"{"good"}"#);

        let with = |change: fn(&mut super::Jwk)| {
            let mut jwk = good.clone();
            jwk.kid = Some("k".into());
            change(&mut jwk);
            jwk
        };
        let cases = [
            (vec![with(|jwk| jwk.kid = None)], InvalidJwk::NoKeyId),
            (
                vec![with(|_| ()), with(|_| ())],
                InvalidJwk::DuplicateKeyId("k".into()),
            ),
            (
                vec![with(|jwk| jwk.n = None)],
                InvalidJwk::NotRsa("k".into()),
            ),
            (
                vec![with(|jwk| jwk.n = Some("AQAB".into()))],
                InvalidJwk::NotRsa("k".into()),
            ),
            (
                vec![with(|jwk| jwk.n = Some("not base64".into()))],
                InvalidJwk::NotRsa("k".into()),
            ),
            (
                vec![with(|jwk| jwk.e = Some(String::new()))],
                InvalidJwk::NotRsa("k".into()),
            ),
        ];
        for (keys, expected) in cases {
            assert_eq!(KeySet::new(&keys).unwrap_err(), expected);
        }
    }
}
