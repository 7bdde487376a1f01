use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use keystead_types::{Rng, Secret};
use zeroize::Zeroizing;

/// The secret half of PKCE (RFC 7636): kept until the code is exchanged.
#[derive(Clone, Debug)]
pub struct CodeVerifier(Secret<String>);

impl CodeVerifier {
    /// Makes 43 characters from 256 random bits, as section 4.1 recommends.
    pub fn generate(rng: &dyn Rng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill(bytes.as_mut());
        Self(Secret::new(BASE64_URL_SAFE_NO_PAD.encode(*bytes)))
    }

    /// Takes one that was stored.
    pub const fn from_stored(text: Secret<String>) -> Self {
        Self(text)
    }

    /// The text, to be stored sealed and sent with the code.
    pub const fn secret(&self) -> &Secret<String> {
        &self.0
    }

    /// The half that goes into the authorization URL.
    pub fn challenge(&self) -> String {
        challenge(self.0.expose())
    }
}

/// The S256 challenge of a verifier: base64url of its SHA-256 (RFC 7636, section 4.2).
pub fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{CodeVerifier, challenge};
    use keystead_types::Rng;

    #[derive(Debug)]
    struct Counting;

    impl Rng for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for (index, byte) in buffer.iter_mut().enumerate() {
                *byte = u8::try_from(index).unwrap();
            }
        }
    }

    /// RFC 7636, appendix B.
    #[test]
    fn challenge_is_that_of_the_rfc_example() {
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn a_verifier_has_all_its_bits_and_legal_characters() {
        let verifier = CodeVerifier::generate(&Counting);
        assert_eq!(
            verifier.secret().expose(),
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
        );
        let restored = CodeVerifier::from_stored(verifier.secret().clone());
        assert_eq!(restored.challenge(), verifier.challenge());
        assert!(!format!("{verifier:?}").contains("AAEC"));
    }
}
