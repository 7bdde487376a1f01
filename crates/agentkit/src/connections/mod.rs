//! Connections: configured once, used for every user.

mod check;
mod model;
mod service;

pub use check::check_settings;
pub use model::*;
pub(crate) use model::stored_names;
pub use service::*;
