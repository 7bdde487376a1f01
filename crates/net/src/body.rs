use crate::FetchError;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::{Instant, Sleep};

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an outgoing request, whole or streamed.
pub struct RequestBody(UnsyncBoxBody<Bytes, BoxError>);

impl RequestBody {
    /// No body.
    pub fn empty() -> Self {
        Self::from(Bytes::new())
    }

    /// Passes a body on while it arrives; trailers go along.
    pub fn streamed<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(body.map_err(Into::into).boxed_unsync())
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self(
            Full::new(bytes)
                .map_err(|never| match never {})
                .boxed_unsync(),
        )
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestBody")
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.get_mut().0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// The body of a response as it arrives, within the limits of the request. Trailers come through;
/// nothing is decompressed.
pub struct ResponseBody {
    inner: Incoming,
    deadline: Instant,
    /// Made when the body first has to wait: most small ones never do.
    sleep: Option<Pin<Box<Sleep>>>,
    limit: u64,
    left: u64,
    /// After an error nothing more is given.
    failed: bool,
}

impl ResponseBody {
    pub(crate) const fn new(inner: Incoming, deadline: Instant, limit: u64) -> Self {
        Self {
            inner,
            deadline,
            sleep: None,
            limit,
            left: limit,
            failed: false,
        }
    }

    fn poll_limited(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, FetchError>>> {
        let Poll::Ready(next) = Pin::new(&mut self.inner).poll_frame(cx) else {
            let deadline = self.deadline;
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            return sleep
                .as_mut()
                .poll(cx)
                .map(|()| Some(Err(FetchError::Timeout)));
        };
        Poll::Ready(match next {
            None => None,
            Some(Err(error)) => Some(Err(FetchError::Protocol {
                source: error.into(),
            })),
            Some(Ok(frame)) => {
                let size = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                if let Some(left) = self.left.checked_sub(size) {
                    self.left = left;
                    Some(Ok(frame))
                } else {
                    Some(Err(FetchError::TooLarge { limit: self.limit }))
                }
            }
        })
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseBody")
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = FetchError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, FetchError>>> {
        let this = self.get_mut();
        if this.failed {
            return Poll::Ready(None);
        }
        let polled = this.poll_limited(cx);
        this.failed = matches!(polled, Poll::Ready(Some(Err(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
