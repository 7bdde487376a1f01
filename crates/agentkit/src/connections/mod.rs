//! Connections: configured once, used for every user.

mod allow_list;
mod api_key;
mod change;
mod check;
mod create;
mod delete;
mod health;
mod model;
mod name;
mod platform_app;
mod probe;
mod read;
mod readiness;
mod request_policy;
mod secrets;
mod stored;
pub(crate) mod test_run;

pub(crate) use api_key::may_be_configured;
pub use change::ConnectionPatch;
pub use check::check_settings;
pub use create::NewConnection;
pub use health::{CallFigures, ConnectionHealth};
pub(crate) use model::stored_names;
pub use model::*;
pub(crate) use name::checked_name;
pub use platform_app::{PlatformApp, PlatformApps};
pub use request_policy::{Backoff, CALL_CEILING, RateLimit, RequestPolicy};
pub use secrets::{ConnectionSecrets, SecretsPatch};
pub use test_run::{StartedTest, TestLink, TestRun, TestStatus};
