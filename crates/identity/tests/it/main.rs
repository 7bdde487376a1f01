//! Use cases of `identity` on both engines.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing helper fails its test"
)]

mod clients;
mod concurrent_changes;
mod environments;
mod first_start;
mod fixture;
mod keys;
mod members;
mod organizations;
mod search;
mod upkeep;
