//! Use cases of `agentkit` on both engines, against the sandbox provider over HTTP.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing helper fails its test"
)]

mod account_values;
mod accounts;
mod addressing;
mod aws;
mod client_authentication;
mod client_settings;
mod concurrent_changes;
mod connection_tests;
mod connections;
mod consenter;
mod declared;
mod direct_calls;
mod events;
mod fixture;
mod forms;
mod granted_scopes;
mod grants;
mod health;
mod lapse;
mod links;
mod lists;
mod lock_order;
mod minted;
mod oauth1;
mod org_wide;
mod places;
mod platform_apps;
mod proxy;
mod refresh;
mod refresh_failures;
mod removal;
mod request_policy;
mod revocation;
mod tableau;
mod unstored_tokens;
mod upstream;
mod upstream_hosts;
mod verification;
mod wider;
