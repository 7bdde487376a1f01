//! Tokens, callers, sign-in and sessions on both engines.

mod bearer;
mod fixture;
mod jwks;
mod login;
mod portal;
mod sessions;
mod token;
