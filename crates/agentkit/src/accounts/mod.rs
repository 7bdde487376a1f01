//! Connected accounts: one user's access through one connection.

mod api_config;
mod change;
mod create;
mod credential;
mod credential_input;
mod destination;
mod grounds;
mod list;
mod model;
mod org_wide;
mod refresh;
mod removal;
mod removal_jobs;
mod resolve;
mod scope_selection;

pub(crate) use api_config::{check_api_config, merged_config};
pub use change::AccountPatch;
pub use create::NewAccount;
pub use credential_input::CredentialInput;
pub(crate) use credential_input::unnested;
pub(crate) use destination::Via;
pub use grounds::Grounds;
pub(crate) use grounds::{connection_scopes, pattern_of, token_paths};
pub use list::AccountListing;
pub use model::*;
pub use org_wide::OrgWideAuthorization;
pub use removal_jobs::Removal;
pub(crate) use scope_selection::checked_selection;
