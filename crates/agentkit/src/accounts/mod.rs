//! Connected accounts: one user's access through one connection.

mod credential_input;
mod destination;
mod grounds;
mod lifecycle;
mod list;
mod model;
mod org_wide;
mod refresh;
mod removal;
mod removal_jobs;
mod resolve;

pub use credential_input::CredentialInput;
pub(crate) use credential_input::unnested;
pub(crate) use destination::Via;
pub use grounds::Grounds;
pub(crate) use grounds::{connection_scopes, pattern_of, token_paths};
pub use lifecycle::{AccountPatch, NewAccount};
pub(crate) use lifecycle::{check_api_config, checked_selection, merged_config};
pub use list::AccountListing;
pub use model::*;
pub use org_wide::OrgWideAuthorization;
pub use removal_jobs::Removal;
