//! Connections: configured once, used for every user.

mod allow_list;
mod api_key;
mod check;
mod health;
mod model;
mod platform_app;
mod probe;
mod service;
pub(crate) mod test_run;

pub use check::check_settings;
pub use health::{CallFigures, ConnectionHealth};
pub(crate) use model::stored_names;
pub use model::*;
pub use platform_app::{PlatformApp, PlatformApps};
pub use service::*;
pub use test_run::{StartedTest, TestLink, TestRun, TestStatus};
