//! The development sandbox: a fake OAuth provider with its API, a chaos switch and a mailbox
//! (AK-805). It plays parties *outside* the product, so it shares no code and no state with it and
//! keeps everything in memory. Only `dev` mounts it; nothing here may run in production.
//!
//! [`router`] is the entry point; all paths start with `/sandbox/`. The fixed credentials below are
//! public on purpose.

mod mailbox;
mod pages;
mod provider;

pub use provider::{Chaos, ClientRegistration, TokenFault};

use axum::Router;
use keystead_net::mail::Mailbox;
use keystead_types::{Clock, Rng};
use std::{path::PathBuf, sync::Arc};

/// Id of the OAuth client that is always registered. Its redirect URI may be any loopback URL.
pub const CLIENT_ID: &str = "sandbox-client";
/// Secret of [`CLIENT_ID`].
pub const CLIENT_SECRET: &str = "sandbox-secret";
/// Bearer token the API always takes, for connections that hold a static token.
pub const STATIC_TOKEN: &str = "sandbox-token";
/// Key the API takes in the header `X-Api-Key`.
pub const API_KEY: &str = "sandbox-api-key";
/// User name the API takes with Basic authentication.
pub const BASIC_USER: &str = "sandbox-user";
/// Password of [`BASIC_USER`].
pub const BASIC_PASSWORD: &str = "sandbox-password";

/// What the sandbox needs from outside.
#[derive(Clone, Debug)]
pub struct Config {
    /// Decides when codes and tokens expire.
    pub clock: Arc<dyn Clock>,
    /// Makes codes and tokens.
    pub rng: Arc<dyn Rng>,
    /// Shown at `/sandbox/mailbox`.
    pub mailbox: Mailbox,
    /// OAuth clients known besides [`CLIENT_ID`]; more can be registered over HTTP.
    pub clients: Vec<ClientRegistration>,
    /// Where clients, grants and tokens are kept over restarts; `None` keeps them in memory. A damaged
    /// file is put aside with the extension `damaged`.
    pub file: Option<PathBuf>,
}

/// The pages and endpoints below `/sandbox/`, with a state of their own.
pub fn router(config: Config) -> Router {
    let mailbox = mailbox::router(config.mailbox);
    let provider = provider::router(config.clock, config.rng, config.clients, config.file);
    Router::new()
        .merge(provider)
        .merge(mailbox)
        .merge(pages::router())
        .layer(axum::middleware::map_response(pages::harden))
}
