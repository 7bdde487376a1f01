//! What joins crates that do not know each other: the pages' needs and the domain's services.

mod connect;
mod connect_form;
mod connect_limits;
mod login;

pub(crate) use connect::HostedConnect;
pub(crate) use connect_limits::ConnectLimits;
pub(crate) use login::{LoginLimits, MemberLogin};
