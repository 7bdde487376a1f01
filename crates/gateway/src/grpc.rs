//! gRPC over HTTP/2: frames, status, the pipeline as a service.

use crate::{
    failure::Failure,
    pipeline::{Pipeline, Reply},
    request_id::REQUEST_ID,
};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use keystead_types::ErrorCode;
use std::{
    convert::Infallible,
    error::Error as StdError,
    task::{Context, Poll},
    time::Duration,
};
use tonic::{Status, body::Body};
use tower::Service;

/// Flag and length before every message.
const HEAD: usize = 5;

/// Whether the request is gRPC. gRPC-Web has other frames and is not.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    kind.strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

impl<B> Service<Request<B>> for Pipeline
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let pipeline = self.clone();
        Box::pin(async move { Ok(serve(&pipeline, request).await) })
    }
}

async fn serve<B>(pipeline: &Pipeline, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    if !is_grpc(&head.headers) || head.method != http::Method::POST {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let Some(method) = pipeline.contract().by_path(head.uri.path()).cloned() else {
        let request_id = pipeline.request_id(&head.headers);
        let failure = Failure::because(ErrorCode::Unimplemented, "the contract has no such method");
        let result = Err(failure.into_status(&request_id.0));
        return respond(Reply {
            request_id,
            metadata: HeaderMap::new(),
            result,
        });
    };
    let limit = pipeline.max_message_bytes();
    let message = async move {
        let bytes = read(body, limit + HEAD).await?;
        if bytes.first() == Some(&1) {
            return Err(Failure::because(
                ErrorCode::Unimplemented,
                "compressed messages are not supported",
            ));
        }
        let wrong = || {
            Failure::because(
                ErrorCode::InvalidArgument,
                "the call must hold exactly one message",
            )
        };
        unframe(&bytes).ok_or_else(wrong)
    };
    respond(pipeline.answer(&method, head, message).await)
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read<B>(body: B, limit: usize) -> Result<Bytes, Failure>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let collected = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Failure::because(
                ErrorCode::RequestTooLarge,
                format!("the request is larger than {limit} bytes"),
            )
        } else {
            Failure::because(ErrorCode::InvalidArgument, "the request body ended early")
        }
    })?;
    Ok(collected.to_bytes())
}

fn respond(reply: Reply) -> Response<Body> {
    let mut response = match reply.result {
        Err(status) => status.into_http(),
        Ok(message) => {
            let mut trailers = HeaderMap::new();
            trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
            let body = Full::new(frame(&message)).with_trailers(async move { Some(Ok(trailers)) });
            let mut response = Response::new(Body::new(body));
            *response.headers_mut() = reply.metadata;
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    if let Ok(value) = HeaderValue::from_str(&reply.request_id.0) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

/// Puts a message into a frame.
pub(crate) fn frame(message: &Bytes) -> Bytes {
    let mut framed = BytesMut::with_capacity(HEAD + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

/// Takes the only message out of its frame; `None` when there is not exactly one, uncompressed.
pub(crate) fn unframe(framed: &Bytes) -> Option<Bytes> {
    let (head, message) = framed.split_at_checked(HEAD)?;
    let (flag, length) = head.split_first()?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    (*flag == 0 && usize::try_from(length).ok()? == message.len()).then(|| framed.slice(HEAD..))
}

/// The time that the client gives the call (`grpc-timeout`).
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3_600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_round_trip(message in proptest::collection::vec(any::<u8>(), 0..300)) {
            let message = Bytes::from(message);
            prop_assert_eq!(unframe(&frame(&message)), Some(message));
        }

        #[test]
        fn junk_never_panics(junk in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = unframe(&Bytes::from(junk));
        }
    }

    #[test]
    fn compressed_short_and_double_messages_are_refused() {
        assert_eq!(unframe(&Bytes::from_static(&[1, 0, 0, 0, 0])), None);
        assert_eq!(unframe(&Bytes::from_static(&[0, 0, 0, 0])), None);
        assert_eq!(
            unframe(&Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
            None
        );
    }

    #[test]
    fn timeouts_are_read_with_their_unit() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            timeout(&headers)
        };
        assert_eq!(of("20S"), Some(Duration::from_secs(20)));
        assert_eq!(of("1500m"), Some(Duration::from_millis(1_500)));
        assert_eq!(
            of("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3_600))
        );
        assert_eq!(of("S"), None);
        assert_eq!(of("123456789S"), None);
        assert_eq!(of("5x"), None);
        assert_eq!(of("-5S"), None);
    }

    #[test]
    fn grpc_is_told_from_grpc_web() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            is_grpc(&headers)
        };
        assert!(
            of("application/grpc") && of("application/grpc+proto") && of("application/grpc; x=1")
        );
        assert!(!of("application/grpc-web") && !of("application/json"));
    }
}
