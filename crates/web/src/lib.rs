//! Every page: the hosted pages an end user sees while connecting an account, and the dashboard.
//!
//! Pages are rendered on the server and work without script: there is none, and the content
//! security policy allows none. `GET` never changes state; every `POST` carries an anti-forgery
//! token that is checked before its handler runs. The dashboard is a client of the contract: it
//! calls the services that an outside client would, in process, with the member's session.
//!
//! Entry point: [`router`].

mod assets;
pub mod connect;
pub mod cookies;
mod csrf;
pub mod dashboard;
mod failure;
mod form_data;
mod headers;
mod render;
pub mod view;
mod visitor;

use axum::{Router, middleware};
use connect::ConnectFlow;
use dashboard::{DashboardLogin, Services};
use failure::Failure;
use keystead_crypto::TokenHasher;
use keystead_types::Rng;
use std::sync::Arc;

/// What the pages need.
#[derive(Clone)]
pub struct Deps {
    /// The flows behind the hosted pages.
    pub connect: Arc<dyn ConnectFlow>,
    /// Signs dashboard members in.
    pub login: Arc<dyn DashboardLogin>,
    /// The services of the contract, called in process.
    pub services: Services,
    /// Makes anti-forgery tokens.
    pub hasher: TokenHasher,
    /// Source of random values.
    pub rng: Arc<dyn Rng>,
}

/// All pages and the files they load.
pub fn router(deps: &Deps) -> Router {
    Router::new()
        .merge(connect::router(deps))
        .merge(dashboard::router(deps))
        .merge(assets::router())
        // Whoever opens the bare address wants the dashboard.
        .route(
            "/",
            axum::routing::get(|| async { axum::response::Redirect::to("/dashboard") }),
        )
        .fallback(|uri: http::Uri| async move {
            if uri.path().starts_with("/dashboard/") {
                Failure::Missing
            } else {
                Failure::NotFound
            }
        })
        .method_not_allowed_fallback(|| async { Failure::WrongMethod })
        .layer(middleware::map_response(headers::secure))
}
