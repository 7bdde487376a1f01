//! Envelope encryption, token hashing, signing keys and the root key.
//!
//! One [`RootKey`] per installation, kept outside the database. From it come, by labelled HKDF:
//! the key that wraps each environment's [`DataKey`], the [`TokenHasher`] and the [`CursorKey`].
//! A [`Keyring`] of data keys seals every stored credential, bound to its [`Place`].
//!
//! ```
//! use keystead_crypto::{DataKey, Keyring, Place, RootKey, SystemRng};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rng = SystemRng;
//! let root = RootKey::generate(&rng);
//! let environment = "env_123456789012345".parse()?;
//!
//! let wrapped = DataKey::generate(&rng, 1).wrap(&rng, &root, environment)?; // stored
//! let keyring = Keyring::new(&DataKey::unwrap(&root, environment, &wrapped)?, &[])?;
//!
//! let place = Place { environment, table: "connections", column: "client_secret", row: "conn_1" };
//! let sealed = keyring.seal(&rng, &place, b"hunter2")?;
//! assert_eq!(keyring.open(&place, &sealed)?.expose(), b"hunter2");
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod aead;
mod cursor;
mod data_key;
mod digest;
mod keyring;
mod root_key;
mod signing_key;
mod system_rng;
mod token;

pub use aead::{OpenError, SealError};
pub use cursor::{CursorKey, CursorScope, InvalidCursor};
pub use data_key::DataKey;
pub use digest::sha256;
pub use keyring::{Keyring, KeyringError, Place};
pub use root_key::{RootKey, RootKeyError};
pub use signing_key::SigningKey;
pub use system_rng::SystemRng;
pub use token::{TokenHash, TokenHasher, random_code, random_token};

/// Length-prefixed concatenation: two different lists never give the same bytes.
fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}
