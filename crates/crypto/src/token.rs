use crate::{RootKey, framed};
use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use keystead_types::{Rng, Secret};
use std::{
    fmt,
    hash::{Hash, Hasher},
};
use zeroize::Zeroizing;

/// The stored form of a bearer token or client secret.
///
/// Compared in constant time. It is a keyed hash, so a stolen database does not allow guessing.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From stored bytes; `None` unless there are 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for TokenHash {}

impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// Hashes tokens with a key that is not in the database.
#[derive(Clone)]
pub struct TokenHasher(hmac::Key);

impl TokenHasher {
    /// Derives the key.
    pub fn new(root: &RootKey) -> Self {
        Self(hmac::Key::new(
            hmac::HMAC_SHA256,
            root.subkey("token hash").expose(),
        ))
    }

    /// HMAC-SHA256 of the token. Hashes of different purposes (`"client secret"`, `"session"`)
    /// never match, so a token cannot be used in place of another kind.
    pub fn hash(&self, purpose: &'static str, token: &str) -> TokenHash {
        let message = Zeroizing::new(framed(&[purpose.as_bytes(), token.as_bytes()]));
        let tag = hmac::sign(&self.0, &message);
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        TokenHash(hash)
    }
}

impl fmt::Debug for TokenHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHasher(…)")
    }
}

/// Makes an unguessable token: `prefix` and `bytes` random bytes in base64url. 32 bytes suit
/// anything that is long-lived.
pub fn random_token(rng: &dyn Rng, prefix: &str, bytes: usize) -> Secret<String> {
    let mut random = Zeroizing::new(vec![0; bytes]);
    rng.fill(&mut random);
    let body = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(random.as_slice()));
    // Allocates once, so that no copy is left behind.
    Secret::new([prefix, &body].concat())
}

/// Makes a numeric code that people type, such as a login code. Every digit is equally likely.
pub fn random_code(rng: &dyn Rng, digits: usize) -> Secret<String> {
    let mut code = String::with_capacity(digits);
    let mut random = Zeroizing::new([0; 32]);
    while code.len() < digits {
        rng.fill(random.as_mut());
        // 250 is a multiple of ten: keeping more would favour the digits 0 to 5.
        let fair = random.iter().filter(|byte| **byte < 250);
        for byte in fair.take(digits - code.len()) {
            code.push(char::from(b'0' + byte % 10));
        }
    }
    Secret::new(code)
}

#[cfg(test)]
mod tests {
    use super::{TokenHash, TokenHasher, random_code, random_token};
    use crate::{RootKey, SystemRng};
    use aws_lc_rs::hmac;
    use std::collections::HashSet;

    /// RFC 4231, test case 2: the HMAC below everything here.
    #[test]
    fn hmac_is_that_of_the_rfc() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        let tag = hmac::sign(&key, b"what do ya want for nothing?");
        assert_eq!(
            hex::encode(tag),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn hashes_depend_on_key_purpose_and_token() {
        let hasher = TokenHasher::new(&RootKey::generate(&SystemRng));
        let other = TokenHasher::new(&RootKey::generate(&SystemRng));
        let hash = hasher.hash("session", "abc");
        assert_eq!(hash, hasher.hash("session", "abc"));
        assert_eq!(Some(hash), TokenHash::from_bytes(hash.as_bytes()));
        let different = [
            hasher.hash("session", "abd"),
            hasher.hash("link", "abc"),
            hasher.hash("sessiona", "bc"),
            other.hash("session", "abc"),
        ];
        assert!(different.iter().all(|one| *one != hash));
        assert_eq!(TokenHash::from_bytes(&[0; 31]), None);
    }

    #[test]
    fn tokens_have_their_prefix_and_length_and_differ() {
        let tokens: HashSet<String> = (0..200)
            .map(|_| random_token(&SystemRng, "sks_", 32).expose().clone())
            .collect();
        assert_eq!(tokens.len(), 200);
        for token in tokens {
            let body = token.strip_prefix("sks_").unwrap();
            assert_eq!(body.len(), 43);
            assert!(
                body.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            );
        }
    }

    #[test]
    fn codes_have_all_digits_about_equally() {
        let text = random_code(&SystemRng, 100_000);
        assert_eq!(text.expose().len(), 100_000);
        for digit in '0'..='9' {
            let count = text.expose().matches(digit).count();
            assert!((9_000..=11_000).contains(&count), "{digit}: {count}");
        }
        assert_eq!(random_code(&SystemRng, 6).expose().len(), 6);
    }
}
