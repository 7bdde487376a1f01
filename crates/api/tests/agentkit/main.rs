//! The services behind the real gateway, on both engines.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_wraps,
    reason = "a test fails by panicking; fields of messages are optional"
)]

mod connected_account_extensions;
mod connected_accounts;
mod connection_extensions;
mod connections;
mod endpoints;
mod fixture;
mod members;
mod org_wide;
mod organizations;
mod portal;
mod providers;
