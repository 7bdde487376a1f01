//! The contract of the store, on both engines.

mod group_commit;
mod jobs;
mod leases;
mod migrations;
mod nodes;
mod pages;
mod statements;
mod transactions;
