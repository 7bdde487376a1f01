use crate::{
    Algorithm, Jwk, SignError, Signer, base64url,
    pem::{self, Label},
};
use aws_lc_rs::{
    digest,
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use keystead_types::Secret;
use std::fmt;

/// A private key was refused. Never holds any of its bytes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no complete PEM block, or its body is not base64.
    #[error("the private key is not PEM; paste the whole block from BEGIN to END")]
    NotPem,
    /// The PEM block holds something else.
    #[error("the PEM block does not hold a private key of the wanted kind")]
    WrongLabel,
    /// The key is protected by a passphrase.
    #[error("the private key is encrypted; remove the passphrase first")]
    Encrypted,
    /// Damaged, too small or of another kind.
    #[error("the private key was refused: {0}")]
    Refused(String),
    /// The key could not be generated or encoded.
    #[error("the cryptography library failed")]
    Library,
}

/// An RSA private key for RS256, 2048 to 8192 bits, parsed once.
///
/// Its key id is the RFC 7638 thumbprint unless [`RsaKey::with_key_id`] sets another.
pub struct RsaKey {
    pair: KeyPair,
    /// `None`: the token carries no `kid`.
    kid: Option<String>,
    modulus: String,
    exponent: String,
}

impl RsaKey {
    /// Makes a new 2048-bit key from the operating system's randomness.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    pub fn generate() -> Result<Self, KeyError> {
        KeyPair::generate(KeySize::Rsa2048)
            .map(Self::new)
            .map_err(|_| KeyError::Library)
    }

    /// Reads a PKCS#8 key in DER.
    ///
    /// # Errors
    /// [`KeyError::Refused`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        KeyPair::from_pkcs8(der)
            .map(Self::new)
            .map_err(|reason| KeyError::Refused(reason.to_string()))
    }

    /// Reads a PEM block, PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// Any [`KeyError`] but `Library`.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (label, der) = pem::decode(text)?;
        match label {
            Label::Pkcs8 => Self::from_pkcs8(der.expose()),
            Label::Pkcs1 => KeyPair::from_der(der.expose())
                .map(Self::new)
                .map_err(|reason| KeyError::Refused(reason.to_string())),
            Label::Sec1 => Err(KeyError::WrongLabel),
        }
    }

    fn new(pair: KeyPair) -> Self {
        let public = pair.public_key();
        let modulus = base64url(public.modulus().big_endian_without_leading_zero());
        let exponent = base64url(public.exponent().big_endian_without_leading_zero());
        let kid = Some(thumbprint(&modulus, &exponent));
        Self {
            pair,
            kid,
            modulus,
            exponent,
        }
    }

    /// Uses the key id that the verifier knows this key by; `None` leaves `kid` out.
    #[must_use]
    pub fn with_key_id(mut self, kid: Option<String>) -> Self {
        self.kid = kid;
        self
    }

    /// The key in PKCS#8 DER.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    pub fn to_pkcs8(&self) -> Result<Secret<Vec<u8>>, KeyError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| KeyError::Library)?;
        Ok(Secret::new(der.as_ref().to_vec()))
    }

    /// The public half as SubjectPublicKeyInfo DER (RFC 5280), which key fingerprints are made of.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    pub fn public_key_der(&self) -> Result<Vec<u8>, KeyError> {
        let der: PublicKeyX509Der<'_> = self
            .pair
            .public_key()
            .as_der()
            .map_err(|_| KeyError::Library)?;
        Ok(der.as_ref().to_vec())
    }

    /// The public half for a published key set.
    pub fn public_jwk(&self) -> Jwk {
        Jwk::rs256(
            self.kid.clone(),
            self.modulus.clone(),
            self.exponent.clone(),
        )
    }

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256.
    ///
    /// # Errors
    /// [`SignError::Library`].
    pub fn sign_rs256(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| SignError::Library)?;
        Ok(signature)
    }
}

impl Signer for RsaKey {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Rs256
    }

    fn key_id(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.sign_rs256(message)
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// RFC 7638: SHA-256 over the required members in lexical order, base64url.
fn thumbprint(modulus: &str, exponent: &str) -> String {
    let canonical = format!(r#"{{"e":"{exponent}","kty":"RSA","n":"{modulus}"}}"#);
    base64url(digest::digest(&digest::SHA256, canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{KeyError, RsaKey, thumbprint};
    use crate::Signer;
    use base64::{Engine, prelude::BASE64_STANDARD};

    /// RFC 7638, section 3.1.
    #[test]
    fn thumbprint_is_that_of_the_rfc_example() {
        let modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        assert_eq!(
            thumbprint(modulus, "AQAB"),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn keys_survive_pkcs8_and_pem_and_a_pasted_json_string() {
        let key = RsaKey::generate().unwrap();
        let der = key.to_pkcs8().unwrap();
        let body = BASE64_STANDARD.encode(der.expose());
        let lines: Vec<&str> = body
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            lines.join("\n")
        );
        for copy in [
            RsaKey::from_pkcs8(der.expose()),
            RsaKey::from_pem(&pem),
            RsaKey::from_pem(&pem.replace('\n', "\r\n")),
            RsaKey::from_pem(&pem.replace('\n', "\\n")),
        ] {
            assert_eq!(copy.unwrap().key_id(), key.key_id());
        }
    }

    /// A 2048-bit PKCS#8 key wraps the PKCS#1 key in a prefix of 26 bytes.
    #[test]
    fn pkcs1_keys_are_read_too() {
        let key = RsaKey::generate().unwrap();
        let der = key.to_pkcs8().unwrap();
        let body = BASE64_STANDARD.encode(&der.expose()[26..]);
        let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----");
        assert_eq!(RsaKey::from_pem(&pem).unwrap().key_id(), key.key_id());
    }

    #[test]
    fn debug_shows_no_key_material() {
        let key = RsaKey::generate().unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains("kid") && shown.len() < 100, "{shown}");
    }

    #[test]
    fn refused_keys_say_why() {
        let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----");
        let cases = [
            (String::new(), KeyError::NotPem),
            ("MIIEvQ==".into(), KeyError::NotPem),
            ("-----BEGIN PRIVATE KEY-----\nAAAA".into(), KeyError::NotPem),
            (
                block("PRIVATE KEY").replace("AAAA", "!!!!"),
                KeyError::NotPem,
            ),
            (block("ENCRYPTED PRIVATE KEY"), KeyError::Encrypted),
            (
                block("RSA PRIVATE KEY").replace("AAAA", "Proc-Type: 4,ENCRYPTED\n\nAAAA"),
                KeyError::Encrypted,
            ),
            (block("CERTIFICATE"), KeyError::WrongLabel),
            (block("EC PRIVATE KEY"), KeyError::WrongLabel),
        ];
        for (text, expected) in cases {
            assert_eq!(RsaKey::from_pem(&text).unwrap_err(), expected, "{text}");
        }
        assert!(matches!(
            RsaKey::from_pem(&block("PRIVATE KEY")),
            Err(KeyError::Refused(_))
        ));
    }
}
