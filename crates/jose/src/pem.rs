use crate::KeyError;
use base64::{Engine, prelude::BASE64_STANDARD};
use keystead_types::Secret;
use pkcs8::{EncryptedPrivateKeyInfoRef, Error, pkcs5};
use zeroize::Zeroizing;

/// What the label of a PEM block says about its content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Label {
    /// `PRIVATE KEY`: PKCS#8 (RFC 5958).
    Pkcs8,
    /// `RSA PRIVATE KEY`: PKCS#1 (RFC 8017).
    Pkcs1,
    /// `EC PRIVATE KEY`: SEC 1 (RFC 5915).
    Sec1,
    /// `ENCRYPTED PRIVATE KEY`: PKCS#8 under a passphrase (RFC 5958 section 3).
    EncryptedPkcs8,
}

/// Most rounds of key derivation, some seconds of work: the number comes with the key, which anybody
/// may paste.
const MAX_ITERATIONS: u32 = 2_000_000;

/// As [`decode_any`]; an encrypted key is refused.
pub(crate) fn decode(text: &str) -> Result<(Label, Secret<Vec<u8>>), KeyError> {
    match decode_any(text)? {
        (Label::EncryptedPkcs8, _) => Err(KeyError::Encrypted),
        plain => Ok(plain),
    }
}

/// As [`decode_any`]; an encrypted key is opened with the passphrase, a plain one needs none.
pub(crate) fn decode_with(
    text: &str,
    passphrase: &Secret<String>,
) -> Result<(Label, Secret<Vec<u8>>), KeyError> {
    match decode_any(text)? {
        (Label::EncryptedPkcs8, _) if passphrase.expose().is_empty() => Err(KeyError::Encrypted),
        (Label::EncryptedPkcs8, der) => Ok((Label::Pkcs8, opened(der.expose(), passphrase)?)),
        plain => Ok(plain),
    }
}

/// Opens a key that is encrypted with PBES2 (RFC 8018 section 6.2).
fn opened(der: &[u8], passphrase: &Secret<String>) -> Result<Secret<Vec<u8>>, KeyError> {
    let damaged = |_| KeyError::Refused("the encrypted block is damaged".to_owned());
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(damaged)?;
    let scheme = info.encryption_algorithm.pbes2();
    let scheme = scheme.ok_or(KeyError::UnsupportedEncryption)?;
    // SECURITY: whoever pastes a key chooses how much work and memory its derivation takes.
    let derivation = scheme.kdf.pbkdf2();
    let derivation = derivation.ok_or(KeyError::UnsupportedEncryption)?;
    if derivation.iteration_count > MAX_ITERATIONS {
        return Err(KeyError::TooManyIterations);
    }
    // A wrong passphrase shows as wrong padding, or as a key that is none.
    let plain = info.decrypt(passphrase.expose().as_bytes());
    plain
        .map(|plain| Secret::new(plain.as_bytes().to_vec()))
        .map_err(|error| match error {
            Error::EncryptedPrivateKey(
                pkcs5::Error::UnsupportedAlgorithm { .. }
                | pkcs5::Error::AlgorithmParametersInvalid { .. },
            ) => KeyError::UnsupportedEncryption,
            _ => KeyError::WrongPassphrase,
        })
}

/// Reads the first PEM block of `text` (RFC 7468).
///
/// People paste keys out of JSON files, so a literal `\n` counts as a line break.
fn decode_any(text: &str) -> Result<(Label, Secret<Vec<u8>>), KeyError> {
    let text = Zeroizing::new(text.replace("\\n", "\n").replace("\\r", ""));
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(KeyError::NotPem)?;
    let (label, rest) = rest.split_once("-----").ok_or(KeyError::NotPem)?;
    let (body, _) = rest
        .split_once(&format!("-----END {label}-----"))
        .ok_or(KeyError::NotPem)?;
    let kind = match label {
        "PRIVATE KEY" => Label::Pkcs8,
        "RSA PRIVATE KEY" => Label::Pkcs1,
        "EC PRIVATE KEY" => Label::Sec1,
        "ENCRYPTED PRIVATE KEY" => Label::EncryptedPkcs8,
        _ => return Err(KeyError::WrongLabel),
    };
    if body.contains("ENCRYPTED") {
        return Err(KeyError::OldEncryption);
    }
    let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    let der = BASE64_STANDARD
        .decode(body.as_bytes())
        .map_err(|_| KeyError::NotPem)?;
    Ok((kind, Secret::new(der)))
}
