//! Who asks for a page.

use axum::extract::ConnectInfo;
use http::Extensions;
use std::net::{IpAddr, SocketAddr};

/// Address of the client, for limits.
pub(crate) fn address(extensions: &Extensions) -> Option<IpAddr> {
    let info = extensions.get::<ConnectInfo<SocketAddr>>();
    info.map(|info| info.0.ip())
}
