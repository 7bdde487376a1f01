use crate::KeySet;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use keystead_types::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::time::Duration;

/// Longest token looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// What a token must say to be accepted.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    /// Exact `iss`.
    pub issuer: &'a str,
    /// Value that `aud` must be or contain; `None` leaves the audience unchecked.
    pub audience: Option<&'a str>,
    /// Current moment.
    pub now: Timestamp,
    /// Allowed difference of the clocks.
    pub leeway: Duration,
}

/// Why a token was refused. For logs: a client learns only that it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VerifyError {
    /// Not three base64url parts, or too long.
    #[error("not a compact token")]
    Malformed,
    /// The header is not a JSON object, or wants extensions to be understood (`crit`).
    #[error("the header is not valid")]
    Header,
    /// Signed with another algorithm than RS256, or not at all.
    #[error("the algorithm is not RS256")]
    Algorithm,
    /// The header names no key, or one that is not in the set.
    #[error("the signing key is not known")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the signature is not valid")]
    Signature,
    /// The claims are not a JSON object, or a time is not a number.
    #[error("the claim {0} is missing or of the wrong type")]
    Claim(&'static str),
    /// Past `exp`.
    #[error("the token has expired")]
    Expired,
    /// Before `nbf`, or `iat` lies ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Another `iss`.
    #[error("the issuer is another")]
    Issuer,
    /// Another `aud`.
    #[error("the audience is another")]
    Audience,
}

/// The claims of a verified token: only [`verify`] makes them.
#[derive(Clone, PartialEq, Debug)]
pub struct Claims {
    members: Map<String, Value>,
    expires_at: Timestamp,
}

impl Claims {
    /// `sub`, when it is text.
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// `exp`.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// A claim that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// Any claim.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// All claims as a typed value.
    ///
    /// # Errors
    /// When a claim the type needs is absent or of another type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(Value::Object(self.members.clone()))
    }
}

/// Checks the signature, then the claims `exp`, `nbf`, `iat`, `iss` and `aud`.
///
/// SECURITY: the algorithm is fixed and the key is found by `kid` among `keys` alone, so a token
/// cannot choose `none`, a public key as HMAC secret, or a key it carries itself (RFC 8725).
///
/// # Errors
/// [`VerifyError`].
pub fn verify(token: &str, keys: &KeySet, expect: &Expect<'_>) -> Result<Claims, VerifyError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(VerifyError::Malformed);
    }
    let (input, signature) = token.rsplit_once('.').ok_or(VerifyError::Malformed)?;
    let (header, claims) = input.split_once('.').ok_or(VerifyError::Malformed)?;
    // A fourth part would leave a dot in `claims`, which base64url refuses.
    let decode = |part: &str| {
        BASE64_URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|_| VerifyError::Malformed)
    };
    let (header, claims, signature) = (decode(header)?, decode(claims)?, decode(signature)?);

    let header: Map<String, Value> =
        serde_json::from_slice(&header).map_err(|_| VerifyError::Header)?;
    if header.contains_key("crit") {
        return Err(VerifyError::Header);
    }
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(VerifyError::Algorithm);
    }
    let kid = header.get("kid").and_then(Value::as_str);
    let key = kid
        .and_then(|kid| keys.find(kid))
        .ok_or(VerifyError::UnknownKey)?;
    key.verify_sig(input.as_bytes(), &signature)
        .map_err(|_| VerifyError::Signature)?;

    let members: Map<String, Value> =
        serde_json::from_slice(&claims).map_err(|_| VerifyError::Claim("set"))?;
    check(members, expect)
}

fn check(members: Map<String, Value>, expect: &Expect<'_>) -> Result<Claims, VerifyError> {
    let expires_at = moment(&members, "exp")?.ok_or(VerifyError::Claim("exp"))?;
    if expires_at.plus(expect.leeway) <= expect.now {
        return Err(VerifyError::Expired);
    }
    for name in ["nbf", "iat"] {
        if moment(&members, name)?.is_some_and(|from| from.minus(expect.leeway) > expect.now) {
            return Err(VerifyError::NotYetValid);
        }
    }
    if members.get("iss").and_then(Value::as_str) != Some(expect.issuer) {
        return Err(VerifyError::Issuer);
    }
    let audience = members.get("aud");
    if expect
        .audience
        .is_some_and(|wanted| !contains(audience, wanted))
    {
        return Err(VerifyError::Audience);
    }
    Ok(Claims {
        members,
        expires_at,
    })
}

/// A NumericDate (RFC 7519, section 2): seconds, maybe with a fraction, which is dropped.
fn moment(
    members: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<Timestamp>, VerifyError> {
    let Some(value) = members.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_i64().or_else(|| {
        let seconds = value.as_f64().filter(|seconds| seconds.abs() < 1e15)?;
        #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
        let seconds = seconds.floor() as i64;
        Some(seconds)
    });
    seconds
        .map(|seconds| Some(Timestamp::from_secs(seconds)))
        .ok_or(VerifyError::Claim(name))
}

fn contains(audience: Option<&Value>, wanted: &str) -> bool {
    match audience {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(list)) => list.iter().any(|one| one.as_str() == Some(wanted)),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
