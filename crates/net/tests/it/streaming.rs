//! AK-452: bodies pass in both directions while they arrive.

use crate::support::{Server, full, open_client};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use keystead_net::{BoxError, FetchError, Limits, RequestBody};
use tokio::sync::mpsc;

fn receiver_body(mut receiver: mpsc::Receiver<Bytes>) -> RequestBody {
    let frames = stream::poll_fn(move |cx| {
        receiver
            .poll_recv(cx)
            .map(|next| next.map(|data| Ok::<_, std::io::Error>(Frame::data(data))))
    });
    RequestBody::streamed(StreamBody::new(frames))
}

/// AK-452
#[tokio::test]
async fn each_chunk_travels_before_the_next_one_exists() {
    let server = Server::start(|request| async move {
        Response::new(request.into_body().map_err(Into::into).boxed_unsync())
    })
    .await;
    let (send, receive) = mpsc::channel(1);
    let request = Request::post(server.url("/"))
        .body(receiver_body(receive))
        .unwrap();
    send.send(Bytes::from_static(b"0")).await.unwrap();
    let mut body = open_client()
        .stream(request, Limits::PROXY)
        .await
        .unwrap()
        .into_body();
    for round in 0..5 {
        let echoed = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(echoed, round.to_string());
        send.send(Bytes::from((round + 1).to_string()))
            .await
            .unwrap();
    }
    drop(send);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "5");
}

#[tokio::test]
async fn a_large_upload_waits_for_a_slow_receiver() {
    const CHUNK: usize = 64 * 1024;
    const CHUNKS: usize = 1024;
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = std::sync::Arc::new(tokio::sync::Mutex::new(Some(wait)));
    let server = Server::start(move |request| {
        let wait = std::sync::Arc::clone(&wait);
        async move {
            let wait = wait.lock().await.take().unwrap();
            wait.await.unwrap();
            let size = request
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .len();
            Response::new(full(size.to_string()))
        }
    })
    .await;
    let (send, receive) = mpsc::channel(1);
    let request = Request::post(server.url("/"))
        .body(receiver_body(receive))
        .unwrap();
    let answer = tokio::spawn(async move { open_client().stream(request, Limits::PROXY).await });
    let mut go = Some(go);
    let chunk = Bytes::from(vec![1; CHUNK]);
    let mut before = 0;
    for sent in 0..CHUNKS {
        let pause = std::time::Duration::from_millis(300);
        if go.is_some() && tokio::time::timeout(pause, send.reserve()).await.is_err() {
            // The receiver reads nothing: the sender is held back long before the end.
            before = sent;
            go.take().unwrap().send(()).unwrap();
        }
        send.send(chunk.clone()).await.unwrap();
    }
    drop(send);
    assert!(
        before > 0 && before < CHUNKS / 2,
        "held back after {before} chunks"
    );
    let body = answer.await.unwrap().unwrap().into_body();
    assert_eq!(
        body.collect().await.unwrap().to_bytes(),
        (CHUNK * CHUNKS).to_string()
    );
}

/// AK-453
#[tokio::test]
async fn compressed_bodies_are_left_alone() {
    const PACKED: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3];
    let server = Server::start(|request| async move {
        assert!(!request.headers().contains_key("accept-encoding"));
        Response::builder()
            .header("content-encoding", "gzip")
            .body(full(PACKED))
            .unwrap()
    })
    .await;
    let request = Request::get(server.url("/"))
        .body(RequestBody::empty())
        .unwrap();
    let response = open_client().stream(request, Limits::PROXY).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        PACKED
    );
}

#[tokio::test]
async fn headers_of_the_hop_are_removed_and_host_follows_the_url() {
    let server = Server::start(|request| async move {
        let lines: Vec<_> = request
            .headers()
            .iter()
            .map(|(k, v)| format!("{k}: {}", v.to_str().unwrap()))
            .collect();
        let body = format!("{}\n{}", request.uri(), lines.join("\n"));
        Response::builder()
            .header("keep-alive", "timeout=5")
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .header("x-end", "1")
            .body(full(body))
            .unwrap()
    })
    .await;
    let request = Request::post(server.url("/a%2Fb/?q=%20&&z"))
        .header("host", "evil.test")
        .header("connection", "x-secret-hop")
        .header("x-secret-hop", "1")
        .header("transfer-encoding", "chunked")
        .header("upgrade", "websocket")
        .header("x-kept", "1")
        .body(RequestBody::from(Bytes::from_static(b"hello")))
        .unwrap();
    let response = open_client().stream(request, Limits::PROXY).await.unwrap();
    let names: Vec<_> = response
        .headers()
        .keys()
        .map(|name| name.as_str().to_owned())
        .collect();
    assert!(names.contains(&"x-end".to_owned()));
    assert!(
        !names
            .iter()
            .any(|name| ["connection", "keep-alive", "x-hop"].contains(&name.as_str())),
        "{names:?}"
    );
    let seen = response.into_body().collect().await.unwrap().to_bytes();
    let seen = std::str::from_utf8(&seen).unwrap();
    let mut lines: Vec<_> = seen.lines().collect();
    assert_eq!(lines.remove(0), "/a%2Fb/?q=%20&&z");
    lines.sort_unstable();
    let host = format!("host: {}", server.address);
    let agent = concat!("user-agent: Keystead/", env!("CARGO_PKG_VERSION"));
    assert_eq!(lines, ["content-length: 5", &host, agent, "x-kept: 1"]);
}

#[tokio::test]
async fn the_length_is_that_of_the_body_whatever_the_header_says() {
    let server = Server::start(|request| async move {
        let named = |name: &str| {
            let value = request.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let framing = (named("content-length"), named("transfer-encoding"));
        Response::new(full(format!("{framing:?} {:?}", named("expect"))))
    })
    .await;
    let client = open_client();
    let known = || RequestBody::streamed(Full::new(Bytes::from_static(b"12345")));
    let unknown = || {
        let pieces = [Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"12345")))];
        RequestBody::streamed(StreamBody::new(stream::iter(pieces)))
    };
    // The second call of each would be read as the rest of the first.
    for _ in 0..2 {
        for (method, body, expected) in [
            ("GET", RequestBody::empty(), "(None, None) None"),
            ("PUT", known(), r#"(Some("5"), None) None"#),
            ("PUT", unknown(), r#"(None, Some("chunked")) None"#),
        ] {
            let request = Request::builder()
                .method(method)
                .uri(server.url("/"))
                .header("content-length", "300")
                .header("expect", "100-continue")
                .body(body)
                .unwrap();
            let response = client.stream(request, Limits::PROXY).await.unwrap();
            let seen = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(seen, expected, "{method}");
        }
    }
}

#[tokio::test]
async fn an_error_of_the_callers_body_is_told_as_such() {
    let server = Server::start(|request| async move {
        let _ = request.into_body().collect().await;
        Response::new(full(""))
    })
    .await;
    let broken = StreamBody::new(stream::iter([
        Ok(Frame::data(Bytes::from_static(b"1"))),
        Err(std::io::Error::other("client went away")),
    ]));
    let request = Request::post(server.url("/"))
        .body(RequestBody::streamed(broken))
        .unwrap();
    let error = open_client()
        .stream(request, Limits::PROXY)
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::RequestBody { .. }), "{error:?}");
}
