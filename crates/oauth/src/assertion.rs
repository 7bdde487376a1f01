use crate::document::Document;
use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use keystead_jose::{KeyError, RsaKey, SignError, Signer, sign};
use keystead_types::{Secret, Timestamp};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Longest life of an assertion (AK-228).
pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// A signed token cannot be made from these settings. Never holds any of a key.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    /// The service account is not a JSON object.
    #[error("the service account key is not a JSON object; paste the whole key file")]
    NotJson,
    /// A field that is needed is absent, empty or not text.
    #[error("{0} is missing or empty")]
    Missing(String),
    /// The key file is of another kind.
    #[error("the key file is not of type service_account")]
    WrongKind,
    /// No such algorithm.
    #[error("the signing algorithm must be RS256, ES256 or HS256")]
    UnknownAlgorithm,
    /// The private key was refused.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Signing failed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// A signed token and when it ends.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The compact JWT.
    pub token: Secret<String>,
    /// Its `exp`.
    pub expires_at: Timestamp,
}

pub(crate) fn assertion(
    key: &dyn Signer,
    mut claims: Map<String, Value>,
    now: Timestamp,
    lifetime: Duration,
) -> Result<Assertion, AssertionError> {
    let expires_at = now.plus(lifetime.min(HOUR));
    claims.insert("iat".into(), now.as_secs().into());
    claims.insert("exp".into(), expires_at.as_secs().into());
    Ok(Assertion {
        token: Secret::new(sign(key, "JWT", &claims)?),
        expires_at,
    })
}

fn object(claims: Value) -> Map<String, Value> {
    match claims {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// A Google service account key file.
#[derive(Debug)]
pub struct ServiceAccount {
    client_email: String,
    project_id: Option<String>,
    key: RsaKey,
}

impl ServiceAccount {
    /// Reads the JSON key file.
    ///
    /// SECURITY: `token_uri` of the file is ignored. A key file is the caller's input, so it must
    /// not decide where a signed assertion goes.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn parse(key_file: &Secret<String>) -> Result<Self, AssertionError> {
        let file = Document::json(key_file.expose()).map_err(|_| AssertionError::NotJson)?;
        if !matches!(file.text("type"), Ok(Some("service_account"))) {
            return Err(AssertionError::WrongKind);
        }
        let text = |name: &'static str| file.text(name).ok().flatten();
        let needed =
            |name: &'static str| text(name).ok_or_else(|| AssertionError::Missing(name.to_owned()));
        let key_id = text("private_key_id").map(ToOwned::to_owned);
        Ok(Self {
            client_email: needed("client_email")?.to_owned(),
            project_id: text("project_id").map(ToOwned::to_owned),
            key: RsaKey::from_pem(needed("private_key")?)?.with_key_id(key_id),
        })
    }

    /// The account's address.
    pub fn client_email(&self) -> &str {
        &self.client_email
    }

    /// The project that owns the account.
    pub fn project_id(&self) -> Option<&str> {
        self.project_id.as_deref()
    }

    /// Signs the assertion for a JWT bearer grant at `token_url`, good for an hour. With `subject`
    /// the account acts as that user (domain-wide delegation).
    ///
    /// # Errors
    /// [`AssertionError::Sign`].
    pub fn assertion(
        &self,
        token_url: &str,
        scopes: &[String],
        subject: Option<&str>,
        now: Timestamp,
    ) -> Result<Assertion, AssertionError> {
        let mut claims = object(json!({
            "iss": self.client_email,
            "aud": token_url,
            "scope": scopes.join(" "),
        }));
        if let Some(subject) = subject {
            claims.insert("sub".into(), subject.into());
        }
        assertion(&self.key, claims, now, HOUR)
    }
}

/// Signs the token that Snowflake takes as a bearer, with the header
/// `X-Snowflake-Authorization-Token-Type: KEYPAIR_JWT`.
///
/// `account` is the account identifier; its region, from the first dot on, is dropped. Write an
/// organization and an account with a hyphen (`ORG-ACCOUNT`). `passphrase` opens an encrypted key
/// and may be empty otherwise; opening can take some seconds of work.
///
/// # Errors
/// [`AssertionError`].
pub fn snowflake_key_pair_jwt(
    account: &str,
    user: &str,
    private_key: &Secret<String>,
    passphrase: &Secret<String>,
    now: Timestamp,
) -> Result<Assertion, AssertionError> {
    let upper = |name: &'static str, text: &str| {
        let text = text.trim().to_uppercase();
        (!text.is_empty())
            .then_some(text)
            .ok_or_else(|| AssertionError::Missing(name.to_owned()))
    };
    let account = account.split('.').next().unwrap_or_default();
    let subject = format!(
        "{}.{}",
        upper("account_identifier", account)?,
        upper("username", user)?
    );
    let key = RsaKey::from_encrypted_pem(private_key.expose(), passphrase)?.with_key_id(None);
    let fingerprint =
        BASE64_STANDARD.encode(digest::digest(&digest::SHA256, &key.public_key_der()?));
    let claims = object(json!({
        "iss": format!("{subject}.SHA256:{fingerprint}"),
        "sub": subject,
    }));
    assertion(&key, claims, now, HOUR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use keystead_jose::{Expect, KeySet, verify};
    use std::sync::LazyLock;

    static KEY: LazyLock<RsaKey> = LazyLock::new(|| RsaKey::generate().unwrap());

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn pem() -> String {
        let body = BASE64_STANDARD.encode(KEY.to_pkcs8().unwrap().expose());
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    }

    fn part(token: &str, index: usize) -> Value {
        let part = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    fn key_file() -> Value {
        json!({
            "type": "service_account",
            "project_id": "proj",
            "private_key_id": "kid1",
            "private_key": pem(),
            "client_email": "robot@proj.test",
            "token_uri": "https://evil.test/token",
        })
    }

    fn parse(file: &Value) -> Result<ServiceAccount, AssertionError> {
        ServiceAccount::parse(&Secret::new(file.to_string()))
    }

    /// Part of AK-228.
    #[test]
    fn a_service_account_signs_what_google_asks_for() {
        let account = parse(&key_file()).unwrap();
        assert_eq!(
            (account.client_email(), account.project_id()),
            ("robot@proj.test", Some("proj"))
        );
        let scopes = ["a".to_owned(), "b".to_owned()];
        let plain = account
            .assertion("https://oauth2.test/token", &scopes, None, NOW)
            .unwrap();
        assert_eq!(plain.expires_at, Timestamp::from_secs(1_003_600));
        assert_eq!(
            part(plain.token.expose(), 0),
            json!({"alg": "RS256", "typ": "JWT", "kid": "kid1"})
        );
        assert_eq!(
            part(plain.token.expose(), 1),
            json!({"iss": "robot@proj.test", "aud": "https://oauth2.test/token", "scope": "a b", "iat": 1_000_000, "exp": 1_003_600})
        );

        let mut jwk = KEY.public_jwk();
        jwk.kid = Some("kid1".into());
        let keys = KeySet::new([&jwk]).unwrap();
        let expect = Expect {
            issuer: "robot@proj.test",
            audience: Some("https://oauth2.test/token"),
            now: NOW,
            leeway: Duration::ZERO,
        };
        let delegated = account
            .assertion(
                "https://oauth2.test/token",
                &scopes,
                Some("ada@acme.test"),
                NOW,
            )
            .unwrap();
        let claims = verify(delegated.token.expose(), &keys, &expect).unwrap();
        assert_eq!(claims.subject(), Some("ada@acme.test"));
    }

    #[test]
    fn broken_key_files_say_what_is_wrong() {
        let with = |name: &str, value: Value| {
            let mut file = key_file();
            file[name] = value;
            parse(&file).unwrap_err().to_string()
        };
        assert_eq!(
            with("type", json!("authorized_user")),
            "the key file is not of type service_account"
        );
        assert_eq!(
            with("client_email", json!("")),
            "client_email is missing or empty"
        );
        assert_eq!(
            with("client_email", json!(5)),
            "client_email is missing or empty"
        );
        assert_eq!(
            with("private_key", json!(null)),
            "private_key is missing or empty"
        );
        assert_eq!(
            with("private_key", json!("nonsense")),
            "the private key is not PEM; paste the whole block from BEGIN to END"
        );
        for text in ["", "[]", "not json", "{"] {
            assert!(
                matches!(
                    ServiceAccount::parse(&Secret::new(text.into())),
                    Err(AssertionError::NotJson)
                ),
                "{text}"
            );
        }
        assert!(matches!(parse(&json!({})), Err(AssertionError::WrongKind)));
    }

    /// Part of AK-228.
    #[test]
    fn snowflake_gets_its_own_kind_of_issuer() {
        let (key, none) = (Secret::new(pem()), Secret::new(String::new()));
        let jwt = snowflake_key_pair_jwt("xy12345.eu-central-1", "ada", &key, &none, NOW).unwrap();
        let fingerprint = BASE64_STANDARD.encode(digest::digest(
            &digest::SHA256,
            &KEY.public_key_der().unwrap(),
        ));
        assert_eq!(
            part(jwt.token.expose(), 0),
            json!({"alg": "RS256", "typ": "JWT"})
        );
        assert_eq!(
            part(jwt.token.expose(), 1),
            json!({"iss": format!("XY12345.ADA.SHA256:{fingerprint}"), "sub": "XY12345.ADA", "iat": 1_000_000, "exp": 1_003_600})
        );
        let org = snowflake_key_pair_jwt("acme-prod", "ada", &key, &none, NOW).unwrap();
        assert_eq!(part(org.token.expose(), 1)["sub"], "ACME-PROD.ADA");
        for (account, user) in [("", "ada"), (".eu", "ada"), ("acme", " ")] {
            assert!(matches!(
                snowflake_key_pair_jwt(account, user, &key, &none, NOW),
                Err(AssertionError::Missing(_))
            ));
        }
    }
}
