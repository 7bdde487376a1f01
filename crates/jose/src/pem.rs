use crate::KeyError;
use base64::{Engine, prelude::BASE64_STANDARD};
use keystead_types::Secret;
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
}

/// Reads the first PEM block of `text` (RFC 7468).
///
/// People paste keys out of JSON files, so a literal `\n` counts as a line break.
pub(crate) fn decode(text: &str) -> Result<(Label, Secret<Vec<u8>>), KeyError> {
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
        "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
        _ => return Err(KeyError::WrongLabel),
    };
    if body.contains("ENCRYPTED") {
        return Err(KeyError::Encrypted);
    }
    let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    let der = BASE64_STANDARD
        .decode(body.as_bytes())
        .map_err(|_| KeyError::NotPem)?;
    Ok((kind, Secret::new(der)))
}
