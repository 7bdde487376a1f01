//! The gateway as its users see it: requests in, answers out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption fails the test"
)]

mod app;
mod grpc;
mod listener;
mod openapi;
mod rest;
mod walks_all_methods;
