use crate::{
    KeyError, base64url,
    pem::{self, Label},
};
use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use keystead_types::Secret;
use serde::Serialize;
use std::fmt;

/// How a token is signed. Decided by the key, never by a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// HMAC with SHA-256.
    Hs256,
}

impl Algorithm {
    /// The name in a token header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Hs256 => "HS256",
        }
    }
}

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The claims cannot be written as JSON.
    #[error("the claims are not a JSON object")]
    Claims,
    /// The cryptography library failed.
    #[error("the cryptography library failed to sign")]
    Library,
}

/// A key that signs tokens.
pub trait Signer: Send + Sync {
    /// Algorithm of the header.
    fn algorithm(&self) -> Algorithm;

    /// Key id of the header, if any.
    fn key_id(&self) -> Option<&str>;

    /// Signs the header and the claims.
    ///
    /// # Errors
    /// [`SignError::Library`].
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

/// Makes a compact JWS of `claims`; `typ` is usually `JWT` or `at+jwt` (RFC 9068).
///
/// # Errors
/// [`SignError`].
pub fn sign(key: &dyn Signer, typ: &str, claims: &impl Serialize) -> Result<String, SignError> {
    let claims = serde_json::to_vec(claims).map_err(|_| SignError::Claims)?;
    if claims.first() != Some(&b'{') {
        return Err(SignError::Claims);
    }
    let header = Header {
        alg: key.algorithm().as_str(),
        typ,
        kid: key.key_id(),
    };
    let header = serde_json::to_vec(&header).map_err(|_| SignError::Claims)?;
    let mut token = format!("{}.{}", base64url(header), base64url(claims));
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&base64url(signature));
    Ok(token)
}

/// A P-256 private key for ES256, for providers that want it in assertions.
pub struct EcKey {
    pair: EcdsaKeyPair,
    kid: Option<String>,
}

impl EcKey {
    /// Reads a PEM block, PKCS#8 or SEC 1.
    ///
    /// # Errors
    /// Any [`KeyError`] but `Library`.
    pub fn from_pem(text: &str, kid: Option<String>) -> Result<Self, KeyError> {
        let (label, der) = pem::decode(text)?;
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = match label {
            Label::Pkcs8 => EcdsaKeyPair::from_pkcs8(algorithm, der.expose()),
            Label::Sec1 => EcdsaKeyPair::from_private_key_der(algorithm, der.expose()),
            Label::Pkcs1 | Label::EncryptedPkcs8 => return Err(KeyError::WrongLabel),
        };
        let pair = pair.map_err(|reason| KeyError::Refused(reason.to_string()))?;
        Ok(Self { pair, kid })
    }
}

impl Signer for EcKey {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }

    fn key_id(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| SignError::Library)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for EcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// A shared secret for HS256, for providers that want it in assertions.
pub struct HmacKey {
    key: hmac::Key,
    kid: Option<String>,
}

impl HmacKey {
    /// Takes the secret's bytes.
    pub fn new(secret: &Secret<Vec<u8>>, kid: Option<String>) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose()),
            kid,
        }
    }
}

impl Signer for HmacKey {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Hs256
    }

    fn key_id(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(hmac::sign(&self.key, message).as_ref().to_vec())
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{EcKey, HmacKey, SignError, Signer, sign};
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{
            ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
            UnparsedPublicKey,
        },
    };
    use base64::{Engine, prelude::*};
    use keystead_types::Secret;
    use serde_json::json;

    /// RFC 7515, appendix A.1: the signing input and signature of the HS256 example.
    #[test]
    fn hs256_gives_the_signature_of_the_rfc_example() {
        let secret = BASE64_URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let input = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = HmacKey::new(&Secret::new(secret), None)
            .sign(input.as_bytes())
            .unwrap();
        assert_eq!(
            BASE64_URL_SAFE_NO_PAD.encode(signature),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
    }

    #[test]
    fn es256_signs_with_a_pkcs8_key() {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
            BASE64_STANDARD.encode(document.as_ref())
        );
        let token = sign(
            &EcKey::from_pem(&pem, Some("k1".into())).unwrap(),
            "JWT",
            &json!({"a": 1}),
        )
        .unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key())
            .verify(input.as_bytes(), &signature)
            .unwrap();
        let header = BASE64_URL_SAFE_NO_PAD
            .decode(token.split('.').next().unwrap())
            .unwrap();
        assert_eq!(header, br#"{"alg":"ES256","typ":"JWT","kid":"k1"}"#);
    }

    #[test]
    fn claims_must_be_an_object() {
        let key = HmacKey::new(&Secret::new(b"secret".to_vec()), None);
        for claims in [json!(1), json!("text"), json!([1]), json!(null)] {
            assert!(matches!(sign(&key, "JWT", &claims), Err(SignError::Claims)));
        }
    }
}
