//! Tokens, callers, sign-in and sessions on both engines.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing helper fails its test"
)]

mod bearer;
mod fixture;
mod jwks;
mod login;
mod portal;
mod sessions;
mod token;
