//! The fake provider: an OAuth 2.0 and 1.0a server, its API, its log and its chaos switch.

mod api;
mod authorize;
mod chaos;
mod client;
mod console;
mod grants;
mod keep;
mod log;
mod oauth1;
mod token;

pub use chaos::{Chaos, TokenFault};
pub use client::ClientRegistration;

use aws_lc_rs::digest;
use axum::{Router, middleware};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use grants::Grants;
use keep::Keeper;
use keystead_types::{Clock, Rng, Timestamp};
use log::Log;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// People who can sign in at the fake provider: subject, name, address.
pub(crate) const USERS: [User; 3] = [
    User::new("u-ada", "Ada Example", "ada@example.test"),
    User::new("u-bo", "Bo Example", "bo@example.test"),
    User::new("u-cy", "Cy Example", "cy@example.test"),
];

/// A person with an account at the fake provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) subject: &'static str,
    pub(crate) name: &'static str,
    pub(crate) email: &'static str,
}

impl User {
    const fn new(subject: &'static str, name: &'static str, email: &'static str) -> Self {
        Self {
            subject,
            name,
            email,
        }
    }

    /// Looks a person up by subject or address.
    pub(crate) fn find(key: &str) -> Option<Self> {
        USERS
            .into_iter()
            .find(|user| user.subject == key || user.email == key)
    }
}

/// The provider as handlers see it.
#[derive(Clone)]
pub(crate) struct Provider {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    state: Arc<Mutex<State>>,
}

/// Everything the provider knows.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) grants: Grants,
    pub(crate) oauth1: oauth1::Credentials,
    pub(crate) items: api::Items,
    pub(crate) log: Log,
    pub(crate) chaos: Chaos,
}

impl Provider {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The state, locked. Never held across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere must not take the sandbox down with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// 256 random bits as text.
    pub(crate) fn random(&self, prefix: &str) -> String {
        let mut bytes = [0; 32];
        self.rng.fill(&mut bytes);
        format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// Paths below `/sandbox/provider` and `/sandbox/chaos`.
pub(crate) fn router(
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    clients: Vec<ClientRegistration>,
    file: Option<PathBuf>,
) -> Router {
    let keeper = file.map(Keeper::new);
    let kept = keeper.as_ref().map(Keeper::read).unwrap_or_default();
    let provider = Provider {
        clock,
        rng,
        state: Arc::new(Mutex::new(State {
            grants: kept.grants,
            oauth1: kept.oauth1,
            ..State::default()
        })),
    };
    {
        let mut state = provider.state();
        for client in [ClientRegistration::standard()].into_iter().chain(clients) {
            state.grants.register(client);
        }
    }
    let router = Router::new()
        .merge(authorize::router())
        .merge(token::router())
        .merge(oauth1::router())
        .merge(api::router(&provider))
        .merge(log::router())
        .merge(chaos::router())
        .merge(console::router())
        .with_state(provider.clone());
    match keeper {
        Some(keeper) => router.layer(middleware::from_fn_with_state(
            (provider, Arc::new(keeper)),
            keep::before_answering,
        )),
        None => router,
    }
}

/// SHA-256, by which tokens are kept.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// Names a token in the log without revealing it: the first 12 hex digits of its SHA-256.
pub(crate) fn short_hash(token: &str) -> String {
    let hash = hex::encode(sha256(token.as_bytes()));
    hash.chars().take(12).collect()
}
