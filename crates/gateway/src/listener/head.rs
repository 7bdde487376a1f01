//! The time that the head of an HTTP/1.1 request may take.

use http_body::{Body, Frame, SizeHint};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// How many requests of a connection were begun and answered.
#[derive(Clone, Default)]
pub(super) struct Requests(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    answered: AtomicU64,
}

impl Requests {
    /// A head is complete; hold what is returned until the answer is sent.
    pub(super) fn begin(&self) -> Running {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        Running(self.0.clone())
    }
}

/// A request that is not answered yet.
pub(super) struct Running(Arc<Counts>);

impl Running {
    /// The body of the answer: the request is answered when it is sent, or given up.
    pub(super) fn until_sent<B>(self, body: B) -> Answer<B> {
        Answer {
            body,
            _running: self,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// The body of an answer.
pub(super) struct Answer<B> {
    body: B,
    _running: Running,
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// SECURITY: ends a connection whose client began a request and does not finish its head in time.
///
/// hyper has one timer for the wait between two requests and for the head; a client that keeps its
/// connection for later may wait long, one that sends a byte now and then may not. So hyper's timer
/// is set to the long wait, and this one runs from the first byte of a head to its end; for the
/// first request from the start of the connection.
pub(super) struct HeadLimit<IO> {
    io: IO,
    limit: Duration,
    requests: Requests,
    /// Requests whose heads were complete when `deadline` was set.
    heads: u64,
    deadline: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<IO> HeadLimit<IO> {
    pub(super) fn new(io: IO, limit: Duration, requests: Requests) -> Self {
        Self {
            io,
            limit,
            requests,
            heads: 0,
            deadline: Some(Instant::now() + limit),
            alarm: None,
        }
    }

    /// Whether bytes that come now belong to a head.
    fn is_waiting(&mut self) -> bool {
        let begun = self.requests.0.begun.load(Ordering::Relaxed);
        if begun != self.heads {
            self.heads = begun;
            self.deadline = None;
        }
        begun == self.requests.0.answered.load(Ordering::Relaxed)
    }

    /// Ready when a head takes too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        alarm.as_mut().poll(cx)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for HeadLimit<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let waiting = self.is_waiting();
        let before = buf.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(cx, buf) {
            if waiting && buf.filled().len() > before && self.deadline.is_none() {
                self.deadline = Some(Instant::now() + self.limit);
            }
            return Poll::Ready(read);
        }
        if !waiting {
            return Poll::Pending;
        }
        ready!(self.poll_late(cx));
        // As if the client had closed: there is nobody to tell.
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for HeadLimit<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::Full;
    use hyper::{body::Incoming, server::conn::http1, service::service_fn};
    use hyper_util::rt::{TokioIo, TokioTimer};
    use std::convert::Infallible;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::sleep,
    };

    const HEAD: Duration = Duration::from_secs(30);
    const IDLE: Duration = Duration::from_secs(330);
    const WORK: Duration = Duration::from_secs(100);

    /// A connection as the listener makes it. `/slow` takes its time.
    fn connect() -> DuplexStream {
        let (client, server) = duplex(1024);
        let requests = Requests::default();
        let begun = requests.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let running = begun.begin();
            async move {
                if request.uri().path() == "/slow" {
                    sleep(WORK).await;
                }
                let body = Full::new(Bytes::from_static(b"done"));
                Ok::<_, Infallible>(Response::new(running.until_sent(body)))
            }
        });
        let io = TokioIo::new(HeadLimit::new(server, HEAD, requests));
        tokio::spawn(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE)
                .serve_connection(io, service),
        );
        client
    }

    async fn ask(client: &mut DuplexStream, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"done") {
            assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0, "{path}");
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("content-length: 4"), "{answer}");
    }

    /// Seconds until the connection is closed.
    async fn closed(client: &mut DuplexStream) -> u64 {
        let begun = Instant::now();
        client.read_to_end(&mut Vec::new()).await.unwrap();
        begun.elapsed().as_secs()
    }

    /// Agentkit specification 5, row 8
    #[tokio::test(start_paused = true)]
    async fn a_connection_may_wait_five_minutes_for_its_next_request() {
        let mut client = connect();
        for path in ["/", "/slow", "/", "/slow"] {
            ask(&mut client, path).await;
            sleep(Duration::from_secs(300)).await;
        }
        ask(&mut client, "/").await;
        assert_eq!(closed(&mut client).await, IDLE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_was_begun_has_to_arrive_in_time() {
        let mut client = connect();
        assert_eq!(
            closed(&mut client).await,
            HEAD.as_secs(),
            "no first request"
        );
        for path in ["/", "/slow"] {
            let mut client = connect();
            ask(&mut client, path).await;
            sleep(Duration::from_secs(200)).await;
            client.write_all(b"GET /").await.unwrap();
            assert_eq!(closed(&mut client).await, HEAD.as_secs());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_does_not_keep_a_connection() {
        let mut client = connect();
        ask(&mut client, "/").await;
        client.write_all(b"GET /").await.unwrap();
        let begun = Instant::now();
        while client.write_all(b"x").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
        assert!((29..=32).contains(&begun.elapsed().as_secs()));
    }
}
