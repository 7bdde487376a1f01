//! Guarded outbound HTTP and mail transports.
//!
//! [`GuardedClient`] is the only HTTP client of the product: every address is checked at the moment
//! of connecting (AK-470), also behind a proxy (AK-473), redirects are returned and never followed, bodies and times are limited.
//! Connections are shared between users; credentials live in requests only. Nothing here knows
//! OAuth or any provider.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use keystead_net::{GuardedClient, Settings};
//! let client = GuardedClient::new(Settings::default())?;
//! let request = http::Request::get("https://example.com/.well-known/openid-configuration");
//! let response = client.fetch(request.body(bytes::Bytes::new())?).await?;
//! assert!(response.body().len() <= 1024 * 1024);
//! # Ok(())
//! # }
//! ```

mod address;
mod body;
mod client;
mod connector;
mod egress;
mod error;
mod headers;
pub mod mail;
mod policy;
mod resolver;
mod stream;
mod tls;

pub use address::AddressClass;
pub use body::{BoxError, RequestBody, ResponseBody};
pub use client::{GuardedClient, Limits, Settings};
pub use egress::{Egress, EgressProxy, InvalidProxy, Names};
pub use error::{Blocked, FetchError, SetupError};
pub use headers::remove_hop_by_hop;
pub use policy::{HostPattern, InvalidHostPattern, Policy};
pub use resolver::{Resolver, SystemResolver};
pub use tls::certificates_from_pem;
