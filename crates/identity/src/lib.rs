//! Workspaces, environments, organizations and API clients.
//!
//! [`Context`] holds what every use case needs: the database, the clock, randomness and the keys.
//! [`start`] checks the root key and fills an empty database. [`Context::site_by_host`] says which
//! environment a request is for; everything after that takes an environment id.
//!
//! This crate knows no protocol: no HTTP, no gRPC, no token format.

#![forbid(unsafe_code)]

mod audit;
mod base_url;
pub mod clients;
mod context;
pub mod environments;
mod first_start;
mod key_rotation;
mod keys;
pub mod members;
pub mod organizations;
pub mod upkeep;
pub mod workspaces;

pub use base_url::{BaseUrl, InvalidBaseUrl};
pub use context::{Actor, Context, Installation};
pub use environments::Site;
pub use first_start::{Created, FirstStart, StartError, start};
pub use key_rotation::{MIN_ROTATION_INTERVAL, Rotation, RotationError, SigningKeyInfo};
pub use keys::{Keys, SigningKeys};
pub use keystead_store::entities::Region;
