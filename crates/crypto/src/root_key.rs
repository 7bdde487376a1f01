use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{Engine, prelude::*};
use keystead_types::{Rng, Secret};
use zeroize::Zeroizing;

/// A root key text was refused. Never holds any of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RootKeyError {
    /// Neither hex nor base64.
    #[error("the root key is neither hex nor base64")]
    Encoding,
    /// Another length than 32 bytes.
    #[error("the root key has {bytes} bytes, it must have 32")]
    Length {
        /// Bytes found.
        bytes: usize,
    },
    /// One byte repeated: a placeholder, not a key.
    #[error("the root key is one repeated byte; generate a random one")]
    Weak,
}

/// The installation's root of trust: 32 random bytes that never enter the database (AK-754).
///
/// It encrypts nothing itself: every use has its own subkey, so no two uses can be confused.
#[derive(Clone, Debug)]
pub struct RootKey(Secret<[u8; 32]>);

impl RootKey {
    /// Makes a new key.
    pub fn generate(rng: &dyn Rng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill(bytes.as_mut());
        Self(Secret::new(*bytes))
    }

    /// Reads 32 bytes as hex or base64 (either alphabet, padded or not); outer space is ignored.
    ///
    /// # Errors
    /// [`RootKeyError`].
    pub fn parse(text: &str) -> Result<Self, RootKeyError> {
        let text = text.trim();
        let bytes = Zeroizing::new(decode(text).ok_or(RootKeyError::Encoding)?);
        let wrong_length = |_| RootKeyError::Length { bytes: bytes.len() };
        let key: Zeroizing<[u8; 32]> =
            Zeroizing::new(bytes.as_slice().try_into().map_err(wrong_length)?);
        let first = key.first().copied();
        if key.iter().all(|byte| Some(*byte) == first) {
            return Err(RootKeyError::Weak);
        }
        Ok(Self(Secret::new(*key)))
    }

    /// The text that [`RootKey::parse`] reads: base64.
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(BASE64_STANDARD.encode(self.0.expose()))
    }

    /// A value that may be stored beside the data to recognise this key: 32 hex digits.
    ///
    /// It is derived with a label of its own and tells nothing of the key or its other subkeys.
    pub fn fingerprint(&self) -> String {
        let bytes = self.subkey("root key fingerprint");
        let (start, _) = bytes.expose().split_at(16);
        hex::encode(start)
    }

    /// Whether the data was written under this key, given the stored fingerprint.
    pub fn has_fingerprint(&self, stored: &str) -> bool {
        verify_slices_are_equal(self.fingerprint().as_bytes(), stored.as_bytes()).is_ok()
    }

    /// HKDF-SHA256 (RFC 5869) without salt. One output block is all that 32 bytes need, so
    /// expanding is a single HMAC.
    pub(crate) fn subkey(&self, label: &str) -> Secret<[u8; 32]> {
        hkdf(self.0.expose(), format!("keystead/v1/{label}").as_bytes())
    }
}

fn hkdf(input: &[u8; 32], info: &[u8]) -> Secret<[u8; 32]> {
    let extracted = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[0; 32]), input);
    let mut expand =
        hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, extracted.as_ref()));
    expand.update(info);
    expand.update(&[1]);
    let mut output = Zeroizing::new([0; 32]);
    for (to, from) in output.iter_mut().zip(expand.sign().as_ref()) {
        *to = *from;
    }
    Secret::new(*output)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    // 64 hex digits are also base64, of 48 bytes, so hex comes first.
    if text.len() == 64
        && let Ok(bytes) = hex::decode(text)
    {
        return Some(bytes);
    }
    let text = text.trim_end_matches('=');
    BASE64_STANDARD_NO_PAD
        .decode(text)
        .or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(text))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{RootKey, RootKeyError, hkdf};
    use crate::SystemRng;
    use aws_lc_rs::hkdf as library;

    #[test]
    fn every_spelling_of_a_key_is_read() {
        let key = RootKey::generate(&SystemRng);
        let text = key.to_text();
        let base64 = text.expose().as_str();
        let spellings = [
            base64.to_owned(),
            format!("  {base64}\n"),
            base64.trim_end_matches('=').to_owned(),
            base64.replace('+', "-").replace('/', "_"),
            hex::encode(key.0.expose()),
            hex::encode_upper(key.0.expose()),
        ];
        for spelling in spellings {
            assert_eq!(
                RootKey::parse(&spelling).unwrap().fingerprint(),
                key.fingerprint()
            );
        }
    }

    #[test]
    fn bad_keys_are_refused_for_what_they_are() {
        let cases = [
            ("", RootKeyError::Length { bytes: 0 }),
            ("not a key!", RootKeyError::Encoding),
            ("c2hvcnQ=", RootKeyError::Length { bytes: 5 }),
            (&"ab".repeat(32), RootKeyError::Weak),
            (
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                RootKeyError::Weak,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(RootKey::parse(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn a_wrong_root_key_is_recognised() {
        let (one, other) = (RootKey::generate(&SystemRng), RootKey::generate(&SystemRng));
        assert!(one.has_fingerprint(&one.fingerprint()));
        assert!(!other.has_fingerprint(&one.fingerprint()));
        assert!(!one.has_fingerprint(""));
        assert_eq!(one.fingerprint().len(), 32);
    }

    #[test]
    fn derivation_is_hkdf_sha256() {
        for (input, info) in [([7; 32], b"keystead/v1/a".as_slice()), ([0xff; 32], b"")] {
            let mut expected = [0; 32];
            let prk = library::Salt::new(library::HKDF_SHA256, &[]).extract(&input);
            prk.expand(&[info], library::HKDF_SHA256)
                .unwrap()
                .fill(&mut expected)
                .unwrap();
            assert_eq!(hkdf(&input, info).expose(), &expected);
        }
    }
}
