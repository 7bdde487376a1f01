//! The rest of a request body that nobody wants.
//!
//! A request may be refused before its body was read. On HTTP/1.1 the connection would then be
//! closed under a client that is about to use it again, and its next request would break.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{runtime::Handle, time::timeout};

/// More than this is not worth keeping a connection for.
const MAX_BYTES: usize = 256 * 1024;
const MAX_TIME: Duration = Duration::from_secs(2);

/// A request body whose rest is read and thrown away when it is dropped early.
pub(super) struct RequestBody {
    /// Taken on drop.
    body: Option<Incoming>,
    read_rest: bool,
}

impl RequestBody {
    /// `read_rest` is `false` where an unread body does no harm (HTTP/2), or where the client waits
    /// for our leave to send it.
    pub(super) const fn new(body: Incoming, read_rest: bool) -> Self {
        Self {
            body: Some(body),
            read_rest,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(body) = self.body.take() else { return };
        if !self.read_rest || body.is_end_stream() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(MAX_TIME, discard(body)));
        }
    }
}

async fn discard(mut body: Incoming) {
    let mut left = MAX_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let size = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(size) else {
            return;
        };
        left = rest;
    }
}
