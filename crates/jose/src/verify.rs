use crate::KeySet;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use keystead_types::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::time::Duration;

/// Longest token looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// What a token must say to be accepted.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    /// Exact `iss`.
    pub issuer: &'a str,
    /// Value that `aud` must be or contain; `None` leaves the audience unchecked.
    pub audience: Option<&'a str>,
    /// Current moment.
    pub now: Timestamp,
    /// Allowed difference of the clocks.
    pub leeway: Duration,
}

/// Why a token was refused. For logs: a client learns only that it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VerifyError {
    /// Not three base64url parts, or too long.
    #[error("not a compact token")]
    Malformed,
    /// The header is not a JSON object, or wants extensions to be understood (`crit`).
    #[error("the header is not valid")]
    Header,
    /// Signed with another algorithm than RS256, or not at all.
    #[error("the algorithm is not RS256")]
    Algorithm,
    /// The header names no key, or one that is not in the set.
    #[error("the signing key is not known")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the signature is not valid")]
    Signature,
    /// The claims are not a JSON object, or a time is not a number.
    #[error("the claim {0} is missing or of the wrong type")]
    Claim(&'static str),
    /// Past `exp`.
    #[error("the token has expired")]
    Expired,
    /// Before `nbf`, or `iat` lies ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Another `iss`.
    #[error("the issuer is another")]
    Issuer,
    /// Another `aud`.
    #[error("the audience is another")]
    Audience,
}

/// The claims of a verified token: only [`verify`] makes them.
#[derive(Clone, PartialEq, Debug)]
pub struct Claims {
    members: Map<String, Value>,
    expires_at: Timestamp,
}

impl Claims {
    /// `sub`, when it is text.
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// `exp`.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// A claim that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// Any claim.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// All claims as a typed value.
    ///
    /// # Errors
    /// When a claim the type needs is absent or of another type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(Value::Object(self.members.clone()))
    }
}

/// Checks the signature, then the claims `exp`, `nbf`, `iat`, `iss` and `aud`.
///
/// SECURITY: the algorithm is fixed and the key is found by `kid` among `keys` alone, so a token
/// cannot choose `none`, a public key as HMAC secret, or a key it carries itself (RFC 8725).
///
/// # Errors
/// [`VerifyError`].
pub fn verify(token: &str, keys: &KeySet, expect: &Expect<'_>) -> Result<Claims, VerifyError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(VerifyError::Malformed);
    }
    let (input, signature) = token.rsplit_once('.').ok_or(VerifyError::Malformed)?;
    let (header, claims) = input.split_once('.').ok_or(VerifyError::Malformed)?;
    // A fourth part would leave a dot in `claims`, which base64url refuses.
    let decode = |part: &str| {
        BASE64_URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|_| VerifyError::Malformed)
    };
    let (header, claims, signature) = (decode(header)?, decode(claims)?, decode(signature)?);

    let header: Map<String, Value> =
        serde_json::from_slice(&header).map_err(|_| VerifyError::Header)?;
    if header.contains_key("crit") {
        return Err(VerifyError::Header);
    }
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(VerifyError::Algorithm);
    }
    let kid = header.get("kid").and_then(Value::as_str);
    let key = kid
        .and_then(|kid| keys.find(kid))
        .ok_or(VerifyError::UnknownKey)?;
    key.verify_sig(input.as_bytes(), &signature)
        .map_err(|_| VerifyError::Signature)?;

    let members: Map<String, Value> =
        serde_json::from_slice(&claims).map_err(|_| VerifyError::Claim("set"))?;
    check(members, expect)
}

fn check(members: Map<String, Value>, expect: &Expect<'_>) -> Result<Claims, VerifyError> {
    let expires_at = moment(&members, "exp")?.ok_or(VerifyError::Claim("exp"))?;
    if expires_at.plus(expect.leeway) <= expect.now {
        return Err(VerifyError::Expired);
    }
    for name in ["nbf", "iat"] {
        if moment(&members, name)?.is_some_and(|from| from.minus(expect.leeway) > expect.now) {
            return Err(VerifyError::NotYetValid);
        }
    }
    if members.get("iss").and_then(Value::as_str) != Some(expect.issuer) {
        return Err(VerifyError::Issuer);
    }
    let audience = members.get("aud");
    if expect
        .audience
        .is_some_and(|wanted| !contains(audience, wanted))
    {
        return Err(VerifyError::Audience);
    }
    Ok(Claims {
        members,
        expires_at,
    })
}

/// A NumericDate (RFC 7519, section 2): seconds, maybe with a fraction, which is dropped.
fn moment(
    members: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<Timestamp>, VerifyError> {
    let Some(value) = members.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_i64().or_else(|| {
        let seconds = value.as_f64().filter(|seconds| seconds.abs() < 1e15)?;
        #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
        let seconds = seconds.floor() as i64;
        Some(seconds)
    });
    seconds
        .map(|seconds| Some(Timestamp::from_secs(seconds)))
        .ok_or(VerifyError::Claim(name))
}

fn contains(audience: Option<&Value>, wanted: &str) -> bool {
    match audience {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(list)) => list.iter().any(|one| one.as_str() == Some(wanted)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Expect, MAX_TOKEN_BYTES, VerifyError, verify};
    use crate::{HmacKey, KeySet, RsaKey, Signer, base64url, sign};
    use keystead_types::{Secret, Timestamp};
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::{sync::LazyLock, time::Duration};

    static KEY: LazyLock<RsaKey> = LazyLock::new(|| RsaKey::generate().unwrap());
    static KEYS: LazyLock<KeySet> = LazyLock::new(|| KeySet::new([&KEY.public_jwk()]).unwrap());

    #[derive(serde::Deserialize)]
    struct Typed {
        permissions: Vec<String>,
    }

    const NOW: i64 = 1_000_000;
    const EXPECT: Expect<'_> = Expect {
        issuer: "https://id.test",
        audience: Some("api"),
        now: Timestamp::from_secs(NOW),
        leeway: Duration::from_secs(30),
    };

    fn claims() -> Value {
        json!({"iss": "https://id.test", "aud": "api", "sub": "skc_1", "exp": NOW + 60, "iat": NOW, "nbf": NOW})
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.into(), value),
        };
        claims
    }

    fn refusal(claims: &Value) -> Option<VerifyError> {
        let token = sign(&*KEY, "JWT", claims).unwrap();
        verify(&token, &KEYS, &EXPECT).err()
    }

    /// Signs whatever header is given, as an attacker who holds the key could.
    fn forge(header: &Value, claims: &Value) -> String {
        let input = format!(
            "{}.{}",
            base64url(header.to_string()),
            base64url(claims.to_string())
        );
        let signature = KEY.sign_rs256(input.as_bytes()).unwrap();
        format!("{input}.{}", base64url(signature))
    }

    #[test]
    fn a_good_token_gives_its_claims() {
        let token = sign(&*KEY, "at+jwt", &with("permissions", json!(["a", "b"]))).unwrap();
        let claims = verify(&token, &KEYS, &EXPECT).unwrap();
        assert_eq!(claims.subject(), Some("skc_1"));
        assert_eq!(claims.expires_at(), Timestamp::from_secs(NOW + 60));
        assert_eq!(claims.get("permissions"), Some(&json!(["a", "b"])));
        assert_eq!(claims.read::<Typed>().unwrap().permissions, ["a", "b"]);
    }

    #[test]
    fn claims_are_checked_with_the_leeway() {
        let cases = [
            ("exp", json!(NOW - 29), None),
            ("exp", json!(NOW - 30), Some(VerifyError::Expired)),
            ("exp", json!(999_970.5), Some(VerifyError::Expired)),
            ("exp", json!(1_000_000.5), None),
            ("exp", json!(null), Some(VerifyError::Claim("exp"))),
            ("exp", json!("1000060"), Some(VerifyError::Claim("exp"))),
            ("exp", json!(1e300), Some(VerifyError::Claim("exp"))),
            ("nbf", json!(NOW + 30), None),
            ("nbf", json!(NOW + 31), Some(VerifyError::NotYetValid)),
            ("nbf", json!(null), None),
            ("nbf", json!(true), Some(VerifyError::Claim("nbf"))),
            ("iat", json!(NOW + 31), Some(VerifyError::NotYetValid)),
            ("iat", json!(null), None),
            ("iss", json!("https://id.test/"), Some(VerifyError::Issuer)),
            ("iss", json!(["https://id.test"]), Some(VerifyError::Issuer)),
            ("iss", json!(null), Some(VerifyError::Issuer)),
            ("aud", json!(["web", "api"]), None),
            ("aud", json!(["web"]), Some(VerifyError::Audience)),
            ("aud", json!([]), Some(VerifyError::Audience)),
            ("aud", json!("apis"), Some(VerifyError::Audience)),
            ("aud", json!(null), Some(VerifyError::Audience)),
            ("aud", json!({"api": true}), Some(VerifyError::Audience)),
        ];
        for (name, value, expected) in cases {
            assert_eq!(
                refusal(&with(name, value.clone())),
                expected,
                "{name} = {value}"
            );
        }
    }

    #[test]
    fn the_audience_is_ignored_only_when_nothing_is_expected() {
        let token = sign(&*KEY, "JWT", &with("aud", json!("else"))).unwrap();
        let lax = Expect {
            audience: None,
            ..EXPECT
        };
        assert!(verify(&token, &KEYS, &lax).is_ok());
        assert_eq!(
            verify(&token, &KEYS, &EXPECT).unwrap_err(),
            VerifyError::Audience
        );
    }

    /// RFC 8725: `none`, key confusion, embedded keys, unknown extensions.
    #[test]
    fn a_token_cannot_choose_how_it_is_verified() {
        let kid = KEY.key_id().unwrap();
        let cases = [
            (json!({"alg": "none", "kid": kid}), VerifyError::Algorithm),
            (json!({"alg": "None", "kid": kid}), VerifyError::Algorithm),
            (json!({"alg": "HS256", "kid": kid}), VerifyError::Algorithm),
            (json!({"alg": "RS512", "kid": kid}), VerifyError::Algorithm),
            (
                json!({"alg": ["RS256"], "kid": kid}),
                VerifyError::Algorithm,
            ),
            (json!({"kid": kid}), VerifyError::Algorithm),
            (json!({"alg": "RS256"}), VerifyError::UnknownKey),
            (
                json!({"alg": "RS256", "kid": "other"}),
                VerifyError::UnknownKey,
            ),
            (json!({"alg": "RS256", "kid": 1}), VerifyError::UnknownKey),
            (
                json!({"alg": "RS256", "jwk": KEY.public_jwk()}),
                VerifyError::UnknownKey,
            ),
            (
                json!({"alg": "RS256", "kid": kid, "crit": ["exp"]}),
                VerifyError::Header,
            ),
            (json!([]), VerifyError::Header),
            (json!("RS256"), VerifyError::Header),
        ];
        for (header, expected) in cases {
            assert_eq!(
                verify(&forge(&header, &claims()), &KEYS, &EXPECT).unwrap_err(),
                expected,
                "{header}"
            );
        }
        assert!(
            verify(
                &forge(&json!({"alg": "RS256", "kid": kid}), &claims()),
                &KEYS,
                &EXPECT
            )
            .is_ok()
        );
        assert_eq!(
            verify(
                &forge(&json!({"alg": "RS256", "kid": kid}), &json!([])),
                &KEYS,
                &EXPECT
            )
            .unwrap_err(),
            VerifyError::Claim("set")
        );

        let public = KEY.public_key_der().unwrap();
        let confused = HmacKey::new(&Secret::new(public), Some(kid.to_owned()));
        let token = sign(&confused, "JWT", &claims()).unwrap();
        assert_eq!(
            verify(&token, &KEYS, &EXPECT).unwrap_err(),
            VerifyError::Algorithm
        );
    }

    #[test]
    fn another_keys_signature_and_changed_claims_are_refused() {
        let stranger = RsaKey::generate()
            .unwrap()
            .with_key_id(KEY.key_id().map(Into::into));
        let token = sign(&stranger, "JWT", &claims()).unwrap();
        assert_eq!(
            verify(&token, &KEYS, &EXPECT).unwrap_err(),
            VerifyError::Signature
        );

        let token = sign(&*KEY, "JWT", &claims()).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let admin = base64url(with("sub", json!("skc_2")).to_string());
        let cases = [
            (
                format!("{}.{admin}.{}", parts[0], parts[2]),
                VerifyError::Signature,
            ),
            (
                format!("{}.{}.", parts[0], parts[1]),
                VerifyError::Signature,
            ),
            (format!("{}.{}", parts[0], parts[1]), VerifyError::Malformed),
            (format!("{token}."), VerifyError::Malformed),
            (format!("{token}.{}", parts[2]), VerifyError::Malformed),
            (format!("{token}="), VerifyError::Malformed),
            (format!(" {token}"), VerifyError::Malformed),
            (String::new(), VerifyError::Malformed),
            ("..".into(), VerifyError::Header),
            ("a".repeat(MAX_TOKEN_BYTES + 1), VerifyError::Malformed),
        ];
        for (token, expected) in cases {
            assert_eq!(
                verify(&token, &KEYS, &EXPECT).unwrap_err(),
                expected,
                "{token}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn junk_never_verifies(token in "[A-Za-z0-9_.=-]{0,200}") {
            prop_assert!(verify(&token, &KEYS, &EXPECT).is_err());
        }

        #[test]
        fn every_changed_character_is_noticed(at in any::<proptest::sample::Index>()) {
            let mut token = sign(&*KEY, "JWT", &claims()).unwrap().into_bytes();
            let index = at.index(token.len());
            token[index] = if token[index] == b'A' { b'B' } else { b'A' };
            prop_assert!(verify(&String::from_utf8(token).unwrap(), &KEYS, &EXPECT).is_err());
        }
    }
}
