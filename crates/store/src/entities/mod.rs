//! One module per entity: its row, its statements and the functions that run them.

pub mod account_removal;
pub mod agentkit;
pub mod audit_records;
pub mod auth_links;
pub mod clients;
pub mod connected_accounts;
pub mod connection_health;
pub mod connection_tests;
pub mod connections;
pub mod counters;
pub mod custom_providers;
pub mod data_keys;
pub mod environments;
pub mod events;
pub mod installation;
pub mod jobs;
pub mod leases;
pub mod login_codes;
pub mod members;
pub mod nodes;
pub mod organizations;
pub mod sessions;
pub mod sign_in_limits;
pub mod signing_keys;
mod text_enum;
mod workspace_list;
pub mod workspaces;

use crate::{AdminSql, Sql};
use text_enum::text_enum;

text_enum! {
    /// Where data is kept, as far as the contract knows regions (DB-007).
    Region {
        /// The label of the United States.
        Us = "US",
        /// The label of the European Union.
        Eu = "EU",
    }
}

/// Every statement of the entities.
pub(crate) const STATEMENTS: &[&[Sql]] = &[
    account_removal::STATEMENTS,
    agentkit::STATEMENTS,
    audit_records::STATEMENTS,
    auth_links::STATEMENTS,
    clients::STATEMENTS,
    connected_accounts::STATEMENTS,
    connected_accounts::list::STATEMENTS,
    connected_accounts::pending::STATEMENTS,
    connected_accounts::refresh::STATEMENTS,
    connection_health::STATEMENTS,
    connection_tests::STATEMENTS,
    connections::STATEMENTS,
    counters::STATEMENTS,
    custom_providers::STATEMENTS,
    data_keys::STATEMENTS,
    environments::STATEMENTS,
    events::STATEMENTS,
    installation::STATEMENTS,
    jobs::STATEMENTS,
    leases::STATEMENTS,
    login_codes::STATEMENTS,
    members::STATEMENTS,
    nodes::STATEMENTS,
    organizations::STATEMENTS,
    sessions::STATEMENTS,
    sign_in_limits::STATEMENTS,
    signing_keys::STATEMENTS,
    workspaces::STATEMENTS,
];

/// Every statement of the entities that may look across environments.
pub(crate) const ADMIN_STATEMENTS: &[&[AdminSql]] = &[
    auth_links::ADMIN_STATEMENTS,
    connected_accounts::pending::ADMIN_STATEMENTS,
    connected_accounts::refresh::ADMIN_STATEMENTS,
    events::ADMIN_STATEMENTS,
    jobs::ADMIN_STATEMENTS,
    leases::ADMIN_STATEMENTS,
    sessions::ADMIN_STATEMENTS,
    signing_keys::ADMIN_STATEMENTS,
];

/// A `LIKE` pattern (escape `\\`) for texts that contain `part`; compare in lower case.
pub(crate) fn contains_pattern(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for character in part.to_lowercase().chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// The only column of a counting statement.
pub(crate) struct Total(pub(crate) u64);

impl crate::FromRow for Total {
    fn from_row(row: &crate::Row) -> Result<Self, crate::StoreError> {
        row.get("total").map(Self)
    }
}
