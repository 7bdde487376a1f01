//! Connectors: the built-in catalogue and the developer's own.

mod custom;
mod model;
mod service;

pub(crate) use custom::is_endpoint;
pub use custom::{check_proxy_url, identifier, name_key, parse_patterns};
pub use model::*;
pub(crate) use service::from_row;
pub use service::{CustomProviderInput, CustomProviderPatch, ProviderFilter};
