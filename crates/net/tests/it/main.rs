//! The guard, the two call styles, TLS and SMTP against servers on loopback.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing helper fails its test"
)]

mod egress;
mod guard;
mod limits;
mod smtp;
mod streaming;
mod support;
mod tls;
