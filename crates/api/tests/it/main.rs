//! The services on both engines.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing helper fails its test"
)]

mod clients;
mod environments;
mod fixture;
mod members;
mod organizations;
mod workspaces;
