//! The sandbox as its users see it (AK-805): every test has a sandbox of its own.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing helper fails its test"
)]

mod api;
mod chaos;
mod keep;
mod mailbox;
mod oauth;
mod support;
mod tokens;
