//! The contract of the store, on both engines.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing helper fails its test"
)]

mod backup;
mod group_commit;
mod jobs;
mod leases;
mod migrations;
mod nodes;
mod pages;
mod statements;
mod transactions;
