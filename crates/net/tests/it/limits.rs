use crate::support::{Server, full, get, open_client};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use keystead_net::{FetchError, Limits, RequestBody};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn limits(max_response: u64) -> Limits {
    Limits {
        timeout: Duration::from_secs(10),
        max_response,
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    let server = Server::start(|request| async move {
        let size: usize = request.uri().path()[1..].parse().unwrap();
        if request.headers().contains_key("x-chunked") {
            let parts = vec![b'x'; size]
                .into_iter()
                .map(|byte| Ok(Frame::data(Bytes::from(vec![byte]))));
            Response::new(StreamBody::new(stream::iter(parts.collect::<Vec<_>>())).boxed_unsync())
        } else {
            Response::new(full(vec![b'x'; size]))
        }
    })
    .await;
    let client = open_client();
    for chunked in [false, true] {
        let request = |size| {
            let mut request = get(server.url(&format!("/{size}")));
            if chunked {
                request
                    .headers_mut()
                    .insert("x-chunked", http::HeaderValue::from_static("1"));
            }
            request
        };
        let fits = client
            .fetch_within(request(100), limits(100))
            .await
            .unwrap();
        assert_eq!(fits.body().len(), 100);
        let error = client
            .fetch_within(request(101), limits(100))
            .await
            .unwrap_err();
        assert!(
            matches!(error, FetchError::TooLarge { limit: 100 }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn the_time_limit_covers_headers_and_body() {
    let server = Server::start(|request| async move {
        if request.uri().path() == "/headers" {
            std::future::pending::<()>().await;
        }
        let first = stream::iter([Ok(Frame::data(Bytes::from_static(b"first")))]);
        Response::new(StreamBody::new(first.chain(stream::pending())).boxed_unsync())
    })
    .await;
    let client = open_client();
    let brief = Limits {
        timeout: Duration::from_millis(200),
        max_response: 100,
    };
    for path in ["/headers", "/body"] {
        let error = client
            .fetch_within(get(server.url(path)), brief)
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::Timeout), "{path}: {error:?}");
    }
    let mut body = client
        .stream(get(server.url("/body")).map(RequestBody::from), brief)
        .await
        .unwrap()
        .into_body();
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "first"
    );
    assert!(matches!(body.frame().await, Some(Err(FetchError::Timeout))));
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn connections_are_reused() {
    let server = Server::start(|_| async { Response::new(full("ok")) }).await;
    let client = open_client();
    for _ in 0..5 {
        client.clone().fetch(get(server.url("/"))).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
}

/// Answers the first request of its first connection, reads the second and hangs up; answers
/// everything on later connections.
async fn hangs_up_once() -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let seen = tokio::spawn(async move {
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        for answers in [1, 1] {
            let (mut tcp, _) = listener.accept().await.unwrap();
            for request in 0..=answers {
                let size = tcp.read(&mut buffer).await.unwrap();
                if size == 0 {
                    return seen;
                }
                seen.push(
                    String::from_utf8_lossy(&buffer[..size])
                        .split(' ')
                        .next()
                        .unwrap()
                        .to_owned(),
                );
                if request < answers {
                    tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                        .await
                        .unwrap();
                }
            }
        }
        seen
    });
    (url, seen)
}

#[tokio::test]
async fn a_get_on_a_connection_that_was_just_closed_is_sent_again() {
    let (url, seen) = hangs_up_once().await;
    let client = open_client();
    client.fetch(get(&url)).await.unwrap();
    assert_eq!(client.fetch(get(&url)).await.unwrap().body(), "ok");
    drop(client);
    assert_eq!(seen.await.unwrap(), ["GET", "GET", "GET"]);
}

#[tokio::test]
async fn a_post_is_never_sent_twice() {
    let (url, seen) = hangs_up_once().await;
    let client = open_client();
    client.fetch(get(&url)).await.unwrap();
    let post = Request::post(&url).body(Bytes::new()).unwrap();
    let error = client.fetch(post).await.unwrap_err();
    assert!(matches!(error, FetchError::Protocol { .. }), "{error:?}");
    seen.abort();
}

#[tokio::test]
async fn an_answer_that_is_not_http_or_breaks_off_is_an_error() {
    for answer in [
        "SSH-2.0-x\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let _ = tcp.read(&mut [0; 4096]).await.unwrap();
            tcp.write_all(answer.as_bytes()).await.unwrap();
        });
        let post = Request::post(&url).body(Bytes::new()).unwrap();
        let error = open_client().fetch(post).await.unwrap_err();
        assert!(matches!(error, FetchError::Protocol { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_length_beside_chunks_is_not_that_of_the_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let _ = tcp.read(&mut [0; 4096]).await.unwrap();
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        tcp.write_all(answer.as_bytes()).await.unwrap();
    });
    let post = Request::post(&url).body(Bytes::new()).unwrap();
    match open_client().fetch(post).await {
        Ok(answer) => {
            assert_eq!(answer.body(), "hello");
            assert!(!answer.headers().contains_key("content-length"));
        }
        Err(error) => assert!(matches!(error, FetchError::Protocol { .. }), "{error:?}"),
    }
}
