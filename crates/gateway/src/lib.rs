//! Listener, dispatch, REST transcoding, rate limits.
//!
//! Every call, whether it came over gRPC, over REST or from one of our own pages, goes through one
//! [`Pipeline`]: request id, method, environment, credentials, permission, validation, rate limit,
//! then the method. What a method demands is read from the contract's descriptors, never coded per
//! method.

mod answer;
pub mod authenticate;
pub mod contract;
mod credentials;
mod dispatch;
mod endpoints;
mod failure;
mod grpc;
mod host;
mod limits;
pub mod listener;
mod metrics;
pub mod openapi;
mod peer;
pub(crate) mod pipeline;
mod request_id;
pub mod transcode;
pub mod validate;

pub use credentials::{ENVIRONMENT_DOMAIN, Origin, PORTAL_COOKIE, SESSION_COOKIE};
pub use dispatch::Gateway;
pub use endpoints::Endpoints;
pub use failure::Failure;
pub use grpc::is_grpc;
pub use limits::{Allowance, FailureRates, Limits, RateFields, Rates, visitor};
pub use metrics::Metrics;
pub use peer::Peer;
pub use pipeline::{Pipeline, Wiring};
pub use request_id::{REQUEST_ID, RequestId};
