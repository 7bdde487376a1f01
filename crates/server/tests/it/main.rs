//! The real binary as its users start it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails fails its test"
)]

mod backup;
mod config;
mod connect;
mod declared;
mod dev;
mod limits;
mod operator;
mod places;
mod private_files;
mod process;
mod serve;
