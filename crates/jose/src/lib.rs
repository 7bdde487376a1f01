//! JSON Web Tokens and key sets: sans-I/O.
//!
//! Signs and verifies compact JWS (RFC 7515) and publishes keys as JWK (RFC 7517). Nothing here
//! reads a clock, fetches a key or trusts what a token says about its own algorithm: [`verify`]
//! accepts RS256 only.
//!
//! ```
//! use keystead_jose::{Expect, KeySet, RsaKey, sign, verify};
//! use keystead_types::Timestamp;
//! use serde_json::json;
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = RsaKey::generate()?;
//! let token = sign(&key, "JWT", &json!({"iss": "https://id.test", "sub": "skc_1", "exp": 1_300}))?;
//! let keys = KeySet::new([&key.public_jwk()])?;
//! let claims = verify(&token, &keys, &Expect {
//!     issuer: "https://id.test",
//!     audience: None,
//!     now: Timestamp::from_secs(1_000),
//!     leeway: Duration::from_secs(30),
//! })?;
//! assert_eq!(claims.subject(), Some("skc_1"));
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod jwk;
mod pem;
mod rsa_key;
mod sign;
mod verify;

pub use jwk::{InvalidJwk, Jwk, JwkSet, KeySet};
pub use rsa_key::{KeyError, RsaKey};
pub use sign::{Algorithm, EcKey, HmacKey, SignError, Signer, sign};
pub use verify::{Claims, Expect, MAX_TOKEN_BYTES, VerifyError, verify};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
