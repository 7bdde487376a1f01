//! A request body as handlers read it: in bounded time, and to its end.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    time::{Instant, Sleep, sleep_until, timeout},
};

/// More than this is not worth waiting for.
const MAX_BYTES: usize = 256 * 1024;
const MAX_TIME: Duration = Duration::from_secs(2);

/// How slowly a body may arrive. Only the time spent waiting for the client counts, so that a slow
/// provider behind the proxy is not held against an upload.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Longest wait for the next bytes, and all the waiting that a body may cost at any rate.
    pub patience: Duration,
    /// Bytes per second that earn a body more waiting than that.
    pub min_rate: u32,
}

/// A body did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError<E> {
    /// The client was too slow.
    #[error("the request body did not arrive in time")]
    TooSlow,
    /// The connection broke, or the client's bytes make no sense.
    #[error(transparent)]
    Broken(#[from] E),
}

/// Tells the connection that a body was given up.
#[derive(Clone, Default)]
pub(super) struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    pub(super) fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// SECURITY: a request body that a stranger cannot keep a handler waiting for.
///
/// A request may be refused before its body was read. On HTTP/1.1 the connection would then be
/// closed under a client that is about to use it again, and its next request would break; on HTTP/2
/// the stream would be reset (with `NO_ERROR`, RFC 9113 section 8.1), which some clients report in
/// place of the answer. So the rest of a body that is dropped early is read and thrown away.
pub(super) struct RequestBody<B = Incoming>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
{
    /// Taken on drop.
    body: Option<B>,
    read_rest: bool,
    wait: Wait,
    given_up: GivenUp,
}

impl<B> RequestBody<B>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
{
    /// `read_rest` is `false` where the client waits for our leave to send it.
    pub(super) fn new(body: B, read_rest: bool, pace: Pace, given_up: GivenUp) -> Self {
        Self {
            body: Some(body),
            read_rest,
            wait: Wait::new(pace),
            given_up,
        }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
{
    type Data = Bytes;
    type Error = BodyError<B::Error>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            let data = frame
                .as_ref()
                .and_then(|frame| frame.as_ref().ok()?.data_ref());
            self.wait.end(data.map_or(0, Bytes::len));
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)));
        }
        ready!(self.wait.poll_over(cx));
        self.given_up.0.store(true, Ordering::Relaxed);
        self.body = None;
        Poll::Ready(Some(Err(BodyError::TooSlow)))
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

impl<B> Drop for RequestBody<B>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
{
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

async fn discard<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let mut left = MAX_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let size = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(size) else {
            return;
        };
        left = rest;
    }
}

/// How long the client was waited for.
struct Wait {
    pace: Pace,
    received: u64,
    /// In waits that are over.
    waited: Duration,
    since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Wait {
    const fn new(pace: Pace) -> Self {
        Self {
            pace,
            received: 0,
            waited: Duration::ZERO,
            since: None,
            alarm: None,
        }
    }

    fn end(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        self.received += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// Begins to wait, unless it has begun; ready when it took too long.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            let deadline = now + self.left();
            match &mut self.alarm {
                Some(alarm) => alarm.as_mut().reset(deadline),
                None => self.alarm = Some(Box::pin(sleep_until(deadline))),
            }
        }
        match &mut self.alarm {
            Some(alarm) => alarm.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    fn left(&self) -> Duration {
        let Pace { patience, min_rate } = self.pace;
        let earned = Duration::from_secs(self.received / u64::from(min_rate.max(1)));
        (patience + earned)
            .saturating_sub(self.waited)
            .min(patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};
    use http_body_util::StreamBody;
    use std::convert::Infallible;
    use tokio::time::sleep;

    const PACE: Pace = Pace {
        patience: Duration::from_secs(30),
        min_rate: 1024,
    };

    /// `count` pieces of `size` bytes, each after `pause`.
    fn body(
        count: usize,
        size: usize,
        pause: Duration,
    ) -> (
        RequestBody<impl Body<Data = Bytes, Error = Infallible> + Unpin + Send>,
        GivenUp,
    ) {
        let pieces = stream::iter(0..count).then(move |_| async move {
            sleep(pause).await;
            Ok(Frame::data(Bytes::from(vec![0; size])))
        });
        let given_up = GivenUp::default();
        let body = StreamBody::new(Box::pin(pieces));
        (
            RequestBody::new(body, true, PACE, given_up.clone()),
            given_up,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up_in_time() {
        let cases = [
            // Nothing for a while.
            (1, 1, Duration::from_secs(31)),
            // A byte at a time, just fast enough to look alive.
            (1_000, 1, Duration::from_secs(29)),
            (1_000_000, 1, Duration::from_millis(100)),
            // Steady, but below the rate.
            (10_000, 512, Duration::from_secs(1)),
        ];
        for (count, size, pause) in cases {
            let begun = Instant::now();
            let (body, given_up) = body(count, size, pause);
            let error = body.collect().await.unwrap_err();
            assert!(matches!(error, BodyError::TooSlow), "{size} {pause:?}");
            assert!(given_up.happened());
            assert!(begun.elapsed() <= Duration::from_secs(61), "{pause:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_upload_may_take_its_time() {
        let (body, given_up) = body(1_000, 16 * 1024, Duration::from_secs(10));
        let whole = body.collect().await.unwrap().to_bytes();
        assert_eq!(whole.len(), 1_000 * 16 * 1024);
        assert!(!given_up.happened());
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_sent_before_do_not_pay_for_a_stall() {
        let fast = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from(vec![
            0;
            1 << 20
        ])))]);
        let body = StreamBody::new(Box::pin(fast.chain(stream::pending())));
        let mut body = RequestBody::new(body, true, PACE, GivenUp::default());
        assert!(body.frame().await.unwrap().is_ok());
        let begun = Instant::now();
        assert!(body.frame().await.unwrap().is_err());
        assert_eq!(begun.elapsed().as_secs(), PACE.patience.as_secs());
        assert!(body.frame().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_not_held_against_the_client() {
        let (mut body, _) = body(10, 100, Duration::from_millis(1));
        let mut frames = 0;
        while let Some(frame) = body.frame().await {
            frame.unwrap();
            frames += 1;
            sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(frames, 10);
    }
}
