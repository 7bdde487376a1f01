//! The provider's own console: users, applications, consents, recent events.

use super::{
    ClientRegistration, Provider, USERS, User,
    grants::Family,
    log::{Counters, Event},
};
use crate::pages::{page, problem};
use askama::Template;
use axum::{
    Form, Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

#[derive(Template)]
#[template(path = "console.html")]
struct Page {
    users: [User; 3],
    clients: Vec<ClientRegistration>,
    families: Vec<Family>,
    counters: Counters,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct NewClient {
    client_id: String,
    #[serde(default)]
    client_secret: String,
    #[serde(default)]
    redirect_uris: String,
}

pub(crate) fn router() -> Router<Provider> {
    Router::new()
        .route("/sandbox/provider", get(show))
        .route("/sandbox/provider/clients", post(register))
        .route("/sandbox/provider/clients/form", post(register_by_form))
        .route("/sandbox/provider/grants", get(grants))
        .route("/sandbox/provider/grants/{id}/revoke", post(revoke))
}

async fn show(State(provider): State<Provider>) -> Response {
    let state = provider.state();
    page(&Page {
        users: USERS,
        clients: state.grants.clients(),
        families: state.grants.live_families(),
        counters: state.log.totals(),
        events: state.log.latest(50),
    })
}

/// Registers or replaces an application.
async fn register(
    State(provider): State<Provider>,
    Json(client): Json<ClientRegistration>,
) -> Response {
    if client.client_id.is_empty() {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({ "error": "client_id is empty" })),
        )
            .into_response();
    }
    let id = client.client_id.clone();
    provider.state().grants.register(client);
    (StatusCode::CREATED, Json(json!({ "client_id": id }))).into_response()
}

async fn register_by_form(
    State(provider): State<Provider>,
    Form(form): Form<NewClient>,
) -> Response {
    if form.client_id.is_empty() {
        return problem(
            StatusCode::BAD_REQUEST,
            "No client id",
            "Go back and fill in the client id.",
        );
    }
    provider.state().grants.register(ClientRegistration {
        client_id: form.client_id,
        client_secret: (!form.client_secret.is_empty()).then_some(form.client_secret),
        redirect_uris: form
            .redirect_uris
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
    });
    Redirect::to("/sandbox/provider").into_response()
}

/// Consents that still live, newest first.
async fn grants(State(provider): State<Provider>) -> Json<Vec<Family>> {
    Json(provider.state().grants.live_families())
}

/// What a person does who removes an application's access.
async fn revoke(State(provider): State<Provider>, Path(id): Path<u64>) -> Response {
    let mut state = provider.state();
    if state.grants.revoke_family(id) {
        state.log.count(|total| total.revoked_families += 1);
        state.log.add(
            provider.now(),
            Event::new("family.revoked")
                .family(id)
                .detail("removed by the user"),
        );
    }
    Redirect::to("/sandbox/provider").into_response()
}
