//! Browsers that a member has signed in with before.
//!
//! SECURITY: wrong codes are limited for a member over all networks together, so that nobody guesses
//! from many of them. A stranger could use that number up on purpose, and the member would be locked
//! out. A browser that has signed in before carries a proof of it and has a number of its own, which
//! strangers cannot touch (the device cookie of OWASP).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keystead_crypto::{TokenHash, TokenHasher, random_token};
use keystead_types::{Rng, Secret, Timestamp};
use std::{net::IpAddr, time::Duration};

/// How long a browser counts as known after a sign-in.
pub const DEVICE_LIFETIME: Duration = Duration::from_secs(180 * 24 * 60 * 60);

const PREFIX: &str = "kdv_";
const PURPOSE: &str = "sign-in device";

/// Who asks for a code or tries one.
#[derive(Clone, Default, Debug)]
pub struct Visitor {
    /// The client's address, or what stands for its network.
    pub network: Option<IpAddr>,
    /// What [`SignedIn::device`](crate::SignedIn::device) gave to this browser earlier.
    pub device: Option<Secret<String>>,
}

impl From<Option<IpAddr>> for Visitor {
    fn from(network: Option<IpAddr>) -> Self {
        Self {
            network,
            device: None,
        }
    }
}

/// The proof that this browser signed in as the member now.
pub(crate) fn issue(
    hasher: &TokenHasher,
    rng: &dyn Rng,
    email_key: &str,
    now: Timestamp,
) -> Secret<String> {
    let name = random_token(rng, PREFIX, 16);
    let claim = format!("{}.{}", name.expose(), now.as_micros());
    let mac = mac(hasher, email_key, &claim);
    let mac = URL_SAFE_NO_PAD.encode(mac.as_bytes());
    Secret::new(format!("{claim}.{mac}"))
}

/// The name of the device, when the proof is ours, for this member and not too old.
pub(crate) fn known(
    hasher: &TokenHasher,
    proof: &Secret<String>,
    email_key: &str,
    now: Timestamp,
) -> Option<String> {
    let (claim, sent) = proof.expose().rsplit_once('.')?;
    let sent = URL_SAFE_NO_PAD.decode(sent).ok()?;
    // Compares in constant time.
    if TokenHash::from_bytes(&sent)? != mac(hasher, email_key, claim) {
        return None;
    }
    let (name, at) = claim.rsplit_once('.')?;
    let at = Timestamp::from_micros(at.parse().ok()?);
    (now < at.plus(DEVICE_LIFETIME)).then(|| name.to_owned())
}

/// An address holds no line break, so the two parts cannot be shifted.
fn mac(hasher: &TokenHasher, email_key: &str, claim: &str) -> TokenHash {
    hasher.hash(PURPOSE, &format!("{email_key}\n{claim}"))
}
