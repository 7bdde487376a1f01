//! The services behind the real gateway, on both engines.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod connected_accounts;
mod connections;
mod fixture;
mod providers;
