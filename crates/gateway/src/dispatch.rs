//! Decides who answers a request: the contract over gRPC, the contract over REST, or the pages.

use crate::{
    Pipeline, answer, contract::ContractError, grpc::is_grpc, openapi::OpenApi,
    transcode::Transcoder,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use std::{convert::Infallible, error::Error as StdError, fmt, sync::Arc};
use tonic::body::Body;
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

/// Answers every request that a listener takes.
#[derive(Clone)]
pub struct Gateway {
    pipeline: Pipeline,
    transcoder: Transcoder,
    openapi: Arc<OpenApi>,
    fallback: BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("pipeline", &self.pipeline)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// `fallback` gets what the contract does not have: `/proxy/…`, `/oauth/…`, `/keys`, pages.
    ///
    /// # Errors
    /// [`ContractError`] when the contract's HTTP bindings cannot be told apart.
    pub fn new<S, B>(pipeline: Pipeline, fallback: S) -> Result<Self, ContractError>
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        Ok(Self {
            transcoder: Transcoder::new(pipeline.clone())?,
            openapi: Arc::new(OpenApi::new(pipeline.contract().clone())),
            fallback: BoxCloneSyncService::new(
                fallback.map_response(|response: Response<B>| response.map(Body::new)),
            ),
            pipeline,
        })
    }

    /// Answers one request.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let path = request.uri().path();
        if is_grpc(request.headers()) {
            return infallible(self.pipeline.clone().oneshot(request).await);
        }
        if self.transcoder.knows(path) || path.starts_with("/api/") {
            return self.transcoder.serve(request).await;
        }
        if path == "/openapi.json" {
            return self.document(request.method());
        }
        let request = request.map(|body| {
            Body::new(body.map_err(|error| tonic::Status::unknown(error.into().to_string())))
        });
        infallible(self.fallback.clone().oneshot(request).await)
    }

    /// The document is public and made to be read by tools in a browser.
    fn document(&self, verb: &http::Method) -> Response<Body> {
        match *verb {
            http::Method::GET | http::Method::HEAD => {
                answer::public(answer::json(StatusCode::OK, self.openapi.json()))
            }
            http::Method::OPTIONS => answer::preflight(),
            _ => answer::not_allowed("GET, HEAD"),
        }
    }
}

fn infallible(result: Result<Response<Body>, Infallible>) -> Response<Body> {
    match result {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
