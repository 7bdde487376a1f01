use crate::assertion::{Assertion, AssertionError, assertion};
use keystead_jose::{EcKey, HmacKey, RsaKey, Signer};
use keystead_types::{Secret, Timestamp};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, time::Duration};

/// Reads the signing key of a custom JWT: PEM for RS256 and ES256, any text for HS256.
///
/// # Errors
/// [`AssertionError::UnknownAlgorithm`], [`AssertionError::Key`].
pub fn custom_signer(
    algorithm: &str,
    key: &Secret<String>,
    key_id: Option<String>,
) -> Result<Box<dyn Signer>, AssertionError> {
    match algorithm {
        "RS256" => Ok(Box::new(
            RsaKey::from_pem(key.expose())?.with_key_id(key_id),
        )),
        "ES256" => Ok(Box::new(EcKey::from_pem(key.expose(), key_id)?)),
        "HS256" if key.expose().is_empty() => {
            Err(AssertionError::Missing("the signing key".into()))
        }
        "HS256" => Ok(Box::new(HmacKey::new(
            &Secret::new(key.expose().as_bytes().to_vec()),
            key_id,
        ))),
        _ => Err(AssertionError::UnknownAlgorithm),
    }
}

/// A JWT whose claims a connector describes (AK-228).
#[derive(Clone, Copy, Debug)]
pub struct CustomJwt<'a> {
    /// Claims; texts may hold `{{field}}`. `iat` and `exp` are always set by the signer.
    pub claims: &'a Map<String, Value>,
    /// What the user filled in.
    pub fields: &'a BTreeMap<String, String>,
    /// At most an hour.
    pub lifetime: Duration,
}

impl CustomJwt<'_> {
    /// Fills in the claims and signs them.
    ///
    /// # Errors
    /// [`AssertionError::Missing`] for a field that is not filled in, [`AssertionError::Sign`].
    pub fn assertion(&self, key: &dyn Signer, now: Timestamp) -> Result<Assertion, AssertionError> {
        let mut claims = Map::new();
        for (name, value) in self.claims {
            claims.insert(name.clone(), self.fill(value)?);
        }
        assertion(key, claims, now, self.lifetime)
    }

    fn fill(&self, value: &Value) -> Result<Value, AssertionError> {
        Ok(match value {
            Value::String(text) => Value::String(self.fill_text(text)?),
            Value::Array(list) => Value::Array(
                list.iter()
                    .map(|one| self.fill(one))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(members) => {
                let fill = |(name, value): (&String, &Value)| Ok((name.clone(), self.fill(value)?));
                Value::Object(
                    members
                        .iter()
                        .map(fill)
                        .collect::<Result<_, AssertionError>>()?,
                )
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    /// What a field holds is never searched for further placeholders.
    fn fill_text(&self, template: &str) -> Result<String, AssertionError> {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, after)) = after.split_once("}}") else {
                break;
            };
            let name = name.trim();
            let value = self.fields.get(name).filter(|value| !value.is_empty());
            filled.push_str(before);
            filled.push_str(value.ok_or_else(|| AssertionError::Missing(name.to_owned()))?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, prelude::*};
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn object(claims: Value) -> Map<String, Value> {
        serde_json::from_value(claims).unwrap()
    }

    fn pem() -> String {
        let key = RsaKey::generate().unwrap().to_pkcs8().unwrap();
        let body = BASE64_STANDARD.encode(key.expose());
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    }

    fn claims(token: &Secret<String>) -> Value {
        let part = token.expose().split('.').nth(1).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn custom_claims_are_filled_in_and_times_are_ours() {
        let template = object(json!({
            "iss": "{{issuer}}", "sub": "app:{{ issuer }}/{{id}}", "aud": ["https://{{host}}"], "n": 1,
            "exp": 9_999_999_999_i64, "open": "{{",
        }));
        let fields: BTreeMap<String, String> = [
            ("issuer", "a\"b{{id}}"),
            ("id", "7"),
            ("host", "p.test"),
            ("blank", ""),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let jwt = |claims, lifetime| CustomJwt {
            claims,
            fields: &fields,
            lifetime,
        };
        let key = custom_signer("HS256", &Secret::new("shared".into()), Some("k".into())).unwrap();
        let made = jwt(&template, Duration::from_mins(1))
            .assertion(&*key, NOW)
            .unwrap();
        assert_eq!(
            claims(&made.token),
            json!({
                "iss": "a\"b{{id}}", "sub": "app:a\"b{{id}}/7", "aud": ["https://p.test"], "n": 1,
                "exp": 1_000_060, "open": "{{", "iat": 1_000_000,
            })
        );
        let long = jwt(&template, Duration::from_secs(100_000))
            .assertion(&*key, NOW)
            .unwrap();
        assert_eq!(long.expires_at, Timestamp::from_secs(1_003_600));
        for (name, claim) in [("nobody", "{{nobody}}"), ("blank", "{{blank}}")] {
            let claims = object(json!({ "iss": claim }));
            let jwt = CustomJwt {
                claims: &claims,
                fields: &fields,
                lifetime: Duration::from_hours(1),
            };
            let refused = jwt.assertion(&*key, NOW).unwrap_err();
            assert_eq!(refused.to_string(), format!("{name} is missing or empty"));
        }
    }

    #[test]
    fn custom_keys_fit_their_algorithm() {
        let key = Secret::new(pem());
        assert_eq!(
            custom_signer("RS256", &key, None)
                .unwrap()
                .algorithm()
                .as_str(),
            "RS256"
        );
        assert!(matches!(
            custom_signer("ES256", &key, None),
            Err(AssertionError::Key(_))
        ));
        assert!(matches!(
            custom_signer("HS256", &Secret::new(String::new()), None),
            Err(AssertionError::Missing(_))
        ));
        for algorithm in ["none", "rs256", "RS512", ""] {
            assert!(matches!(
                custom_signer(algorithm, &key, None),
                Err(AssertionError::UnknownAlgorithm)
            ));
        }
    }
}
