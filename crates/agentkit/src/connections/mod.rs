//! Connections: configured once, used for every user.

mod check;
mod model;
mod service;

pub use check::check_settings;
pub(crate) use model::stored_names;
pub use model::*;
pub use service::*;
