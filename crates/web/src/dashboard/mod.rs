//! The dashboard: a client of the contract like any other (design 2.1, invariant 2).

mod accounts;
mod connections;
mod connectors;
mod credentials;
mod desk;
mod direct_calls;
mod environments;
mod json;
mod launch;
mod login;
mod overview;
mod rpc;
mod sign_in;
mod trouble;
mod verification;
mod verification_links;
mod words;

pub use login::{DashboardLogin, LoginError, Session, SignedIn, Visitor};
pub use rpc::Services;

use crate::{
    Deps, cookies,
    csrf::{self, Guard},
};
use axum::{
    Router, middleware,
    routing::{get, post},
};

/// The dashboard's pages.
pub(crate) fn router(deps: &Deps) -> Router {
    let sign_in = Router::new()
        .route("/dashboard/sign-in", get(sign_in::ask).post(sign_in::start))
        .route(
            "/dashboard/sign-in/code",
            get(sign_in::ask_code).post(sign_in::finish),
        )
        .layer(middleware::from_fn_with_state(
            guard(deps, &[cookies::VISITOR]),
            csrf::protect,
        ));
    let pages = Router::new()
        .route("/dashboard", get(environments::choose))
        .route("/dashboard/sign-out", post(sign_in::sign_out))
        .route(
            "/dashboard/environments",
            get(environments::list).post(environments::create),
        )
        .route("/dashboard/{env}", get(overview::show))
        .route("/dashboard/{env}/launch", get(launch::show))
        .route(
            "/dashboard/{env}/verification",
            get(verification::show).post(verification::save),
        )
        .route(
            "/dashboard/{env}/verification/links",
            post(verification_links::save),
        )
        .route(
            "/dashboard/{env}/verification/calls",
            post(direct_calls::save),
        )
        .nest("/dashboard/{env}/connectors", connectors::routes())
        .nest("/dashboard/{env}/connections", connections::routes())
        .nest("/dashboard/{env}/accounts", accounts::routes())
        .nest("/dashboard/{env}/credentials", credentials::routes())
        .layer(middleware::from_fn_with_state(
            guard(deps, &[cookies::SESSION]),
            csrf::protect,
        ));
    sign_in.merge(pages).with_state(deps.clone())
}

fn guard(deps: &Deps, bound_to: &'static [cookies::Cookie]) -> Guard {
    Guard {
        deps: deps.clone(),
        bound_to,
    }
}
