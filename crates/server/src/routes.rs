//! Everything that is no method of the contract: machine endpoints, pages, the sandbox.

use axum::{Router, extract::ConnectInfo};
use http::{HeaderValue, Request, header};
use keystead_gateway::{Endpoints, Peer};
use std::{convert::Infallible, net::SocketAddr};
use tonic::body::Body;
use tower::{Service, ServiceExt};

/// The service that the gateway falls back to.
pub(crate) fn fallback(
    endpoints: Endpoints,
    pages: Router,
) -> impl Service<
    Request<Body>,
    Response = axum::response::Response,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ Sync
+ 'static {
    tower::service_fn(move |request: Request<Body>| {
        let (endpoints, pages) = (endpoints.clone(), pages.clone());
        async move {
            match endpoints.answer(request).await {
                Ok(response) => Ok(response.map(axum::body::Body::new)),
                Err(request) => pages.oneshot(for_pages(request)).await,
            }
        }
    })
}

/// Gives pages host and client address where they look for them, whatever the HTTP version.
fn for_pages(mut request: Request<Body>) -> Request<Body> {
    if let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        // HTTP/2 has no `Host`: `:authority` stands for it.
        request.headers_mut().insert(header::HOST, host);
    }
    if let Some(peer) = request.extensions().get::<Peer>().copied() {
        let address = SocketAddr::new(peer.address, 0);
        request.extensions_mut().insert(ConnectInfo(address));
    }
    request
}
