//! Raw API calls with the user's credential attached (AK-450..AK-472).

mod forward;
mod headers;
mod limits;
mod log;
mod log_entry;
mod outgoing;
mod snapshots;
mod target;

pub use forward::{ProxyAnswer, ProxyBody, ProxyCall, ProxyError, ProxyFailure};
pub(crate) use limits::Limiters;
pub(crate) use log::CallLog;
pub(crate) use snapshots::Snapshots;
pub(crate) use target::resolve_target;
