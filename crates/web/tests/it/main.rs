//! The pages over their router, as a browser sees them: cookies, forms, headers.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

mod agentkit;
mod assets;
mod browser;
mod callback;
mod dashboard;
mod direct_calls;
mod flow;
mod force_delete;
mod hosted;
mod login;
mod markup;
mod platform_apps;
mod services;
mod sign_in;
mod world;
