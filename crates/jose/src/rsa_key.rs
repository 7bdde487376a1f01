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
    /// The key is protected by a passphrase, and none was given.
    #[error("the private key is encrypted; give its passphrase, or paste the key without one")]
    Encrypted,
    /// The passphrase is another one.
    #[error("the passphrase does not fit the private key")]
    WrongPassphrase,
    /// Encrypted the way of OpenSSL before PKCS#8.
    #[error(
        "the private key is encrypted in an old format; convert it with `openssl pkcs8 -topk8`"
    )]
    OldEncryption,
    /// Encrypted otherwise than with PBES2, PBKDF2, and AES or 3DES.
    #[error(
        "the private key is encrypted in a way that is not supported; convert it with \
         `openssl pkcs8 -topk8 -v2 aes-256-cbc`"
    )]
    UnsupportedEncryption,
    /// Opening it would take too long.
    #[error("the private key is encrypted with more than two million iterations")]
    TooManyIterations,
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
        Self::from_block(pem::decode(text)?)
    }

    /// As [`Self::from_pem`]; opens an encrypted PKCS#8 block with the passphrase. A plain block
    /// needs none.
    ///
    /// Slow when the key says so: up to some seconds of work.
    ///
    /// # Errors
    /// Any [`KeyError`] but `Library`.
    pub fn from_encrypted_pem(text: &str, passphrase: &Secret<String>) -> Result<Self, KeyError> {
        Self::from_block(pem::decode_with(text, passphrase)?)
    }

    fn from_block((label, der): (Label, Secret<Vec<u8>>)) -> Result<Self, KeyError> {
        match label {
            Label::Pkcs8 => Self::from_pkcs8(der.expose()),
            Label::Pkcs1 => KeyPair::from_der(der.expose())
                .map(Self::new)
                .map_err(|reason| KeyError::Refused(reason.to_string())),
            Label::Sec1 | Label::EncryptedPkcs8 => Err(KeyError::WrongLabel),
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
    use keystead_types::Secret;
    use pkcs8::{
        EncryptedPrivateKeyInfoRef,
        der::{Encode, asn1::OctetStringRef},
        pkcs5::pbes2::{EncryptionScheme, Parameters, Pbkdf2Params, Pbkdf2Prf, Salt},
    };

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
                KeyError::OldEncryption,
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

    /// A key under a passphrase, as `openssl pkcs8 -topk8 -v2 …` writes it.
    fn encrypted(
        key: &RsaKey,
        encryption: EncryptionScheme,
        iterations: u32,
        prf: Pbkdf2Prf,
    ) -> String {
        let kdf = Pbkdf2Params {
            salt: Salt::new([7_u8; 8]).unwrap(),
            iteration_count: iterations,
            key_length: None,
            prf,
        };
        let scheme = Parameters {
            kdf: kdf.into(),
            encryption,
        };
        let data = scheme.encrypt("open sesame", key.to_pkcs8().unwrap().expose());
        let data = data.unwrap();
        let info = EncryptedPrivateKeyInfoRef {
            encryption_algorithm: scheme.into(),
            encrypted_data: OctetStringRef::new(&data).unwrap(),
        };
        let body = BASE64_STANDARD.encode(info.to_der().unwrap());
        format!(
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}\n-----END ENCRYPTED PRIVATE KEY-----\n"
        )
    }

    /// Part of AK-005: key pairs as Snowflake's own instructions make them (3DES), and as OpenSSL does now.
    #[test]
    fn a_passphrase_opens_an_encrypted_key() {
        let key = RsaKey::generate().unwrap();
        let right = Secret::new("open sesame".to_owned());
        for (encryption, prf) in [
            (
                EncryptionScheme::DesEde3Cbc { iv: [1; 8] },
                Pbkdf2Prf::HmacWithSha256,
            ),
            (
                EncryptionScheme::DesEde3Cbc { iv: [1; 8] },
                Pbkdf2Prf::HmacWithSha1,
            ),
            (
                EncryptionScheme::Aes128Cbc { iv: [2; 16] },
                Pbkdf2Prf::HmacWithSha256,
            ),
            (
                EncryptionScheme::Aes256Cbc { iv: [3; 16] },
                Pbkdf2Prf::HmacWithSha512,
            ),
        ] {
            let pem = encrypted(&key, encryption, 10, prf);
            let read = RsaKey::from_encrypted_pem(&pem, &right).unwrap();
            assert_eq!(read.key_id(), key.key_id());
            for wrong in ["open sesam", "OPEN SESAME", " open sesame", "x"] {
                let wrong = Secret::new(wrong.to_owned());
                let refused = RsaKey::from_encrypted_pem(&pem, &wrong).unwrap_err();
                assert_eq!(refused, KeyError::WrongPassphrase);
            }
            let none = RsaKey::from_encrypted_pem(&pem, &Secret::new(String::new()));
            assert_eq!(none.unwrap_err(), KeyError::Encrypted);
            assert_eq!(RsaKey::from_pem(&pem).unwrap_err(), KeyError::Encrypted);
        }
        let body = BASE64_STANDARD.encode(key.to_pkcs8().unwrap().expose());
        let plain = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----");
        RsaKey::from_encrypted_pem(&plain, &right).unwrap();
    }

    /// A pasted key must not decide how long the server works.
    #[test]
    fn a_derivation_that_takes_too_long_is_not_begun() {
        let key = RsaKey::generate().unwrap();
        let scheme = EncryptionScheme::Aes256Cbc { iv: [3; 16] };
        let pem = encrypted(&key, scheme, 10, Pbkdf2Prf::HmacWithSha256);
        let patient = with_iterations(&pem, i32::MAX as u32);
        let passphrase = Secret::new("open sesame".to_owned());
        assert_eq!(
            RsaKey::from_encrypted_pem(&patient, &passphrase).unwrap_err(),
            KeyError::TooManyIterations
        );
        let damaged =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
        assert!(matches!(
            RsaKey::from_encrypted_pem(damaged, &passphrase),
            Err(KeyError::Refused(_))
        ));
    }

    /// The same block, asking for another number of rounds.
    fn with_iterations(pem: &str, iterations: u32) -> String {
        let (_, rest) = pem.split_once('\n').unwrap();
        let (body, _) = rest.split_once('\n').unwrap();
        let der = BASE64_STANDARD.decode(body).unwrap();
        let info = EncryptedPrivateKeyInfoRef::try_from(der.as_slice()).unwrap();
        let mut scheme = info.encryption_algorithm.pbes2().unwrap().clone();
        let mut kdf = *scheme.kdf.pbkdf2().unwrap();
        kdf.iteration_count = iterations;
        scheme.kdf = kdf.into();
        let changed = EncryptedPrivateKeyInfoRef {
            encryption_algorithm: scheme.into(),
            encrypted_data: info.encrypted_data,
        };
        pem.replace(body, &BASE64_STANDARD.encode(changed.to_der().unwrap()))
    }
}
