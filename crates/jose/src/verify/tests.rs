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
