use keystead_jose::{Algorithm, Jwk, KeyError, RsaKey, SignError, Signer};
use keystead_types::Secret;

/// An environment's key for access tokens: RSA-2048, RS256, parsed once and kept.
///
/// Its `kid` is the RFC 7638 thumbprint, so it follows from the key and never collides.
#[derive(Debug)]
pub struct SigningKey {
    key: RsaKey,
    kid: String,
}

impl SigningKey {
    /// Makes a new key from the operating system's randomness. Takes up to a second of CPU time:
    /// keep it off the threads that serve requests.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    pub fn generate() -> Result<Self, KeyError> {
        RsaKey::generate().and_then(Self::new)
    }

    /// Reads what [`SigningKey::to_pkcs8`] gave out.
    ///
    /// # Errors
    /// [`KeyError::Refused`].
    pub fn from_pkcs8(der: &Secret<Vec<u8>>) -> Result<Self, KeyError> {
        RsaKey::from_pkcs8(der.expose()).and_then(Self::new)
    }

    fn new(key: RsaKey) -> Result<Self, KeyError> {
        let kid = key.key_id().ok_or(KeyError::Library)?.to_owned();
        Ok(Self { key, kid })
    }

    /// The private key in PKCS#8 DER. Seal it before storing.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    pub fn to_pkcs8(&self) -> Result<Secret<Vec<u8>>, KeyError> {
        self.key.to_pkcs8()
    }

    /// The key id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half for the published key set.
    pub fn public_jwk(&self) -> Jwk {
        self.key.public_jwk()
    }

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256.
    ///
    /// # Errors
    /// [`SignError::Library`].
    pub fn sign_rs256(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.key.sign_rs256(message)
    }
}

impl Signer for SigningKey {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Rs256
    }

    fn key_id(&self) -> Option<&str> {
        Some(&self.kid)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.sign_rs256(message)
    }
}

#[cfg(test)]
mod tests {
    use super::SigningKey;
    use keystead_jose::{Expect, KeySet, sign, verify};
    use keystead_types::Timestamp;
    use std::time::Duration;

    #[test]
    fn a_stored_key_signs_tokens_that_the_published_key_verifies() {
        let key = SigningKey::generate().unwrap();
        let restored = SigningKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(restored.kid(), key.kid());

        let claims = serde_json::json!({"iss": "https://id.test", "sub": "skc_1", "exp": 60});
        let token = sign(&restored, "JWT", &claims).unwrap();
        let keys = KeySet::new([&key.public_jwk()]).unwrap();
        let expect = Expect {
            issuer: "https://id.test",
            audience: None,
            now: Timestamp::EPOCH,
            leeway: Duration::ZERO,
        };
        assert_eq!(
            verify(&token, &keys, &expect).unwrap().subject(),
            Some("skc_1")
        );
    }
}
