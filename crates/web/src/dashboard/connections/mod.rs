//! Connections: a service set up once for all users (AK-100 to AK-125).

mod change;
mod create;
mod detail;
mod health;
mod list;
mod settings;
mod shared;
mod templates;
mod test;

use super::{desk::Desk, trouble::Trouble};
use crate::Deps;
use axum::{
    Router,
    routing::{get, post},
};
use keystead_proto::v1::connections::{Connection, GetEnvironmentConnectionRequest};

const SECTION: &str = "connections";

pub(super) fn routes() -> Router<Deps> {
    Router::new()
        .route("/", get(list::show).post(create::create))
        .route("/new", get(create::ask))
        .route("/{id}", get(detail::show).post(settings::save))
        .route("/{id}/enable", post(change::enable))
        .route(
            "/{id}/disable",
            get(change::ask_disable).post(change::disable),
        )
        .route("/{id}/delete", get(change::ask_delete).post(change::delete))
        .route("/{id}/shared", post(shared::connect))
        .route("/{id}/test", get(test::ask).post(test::start))
}

/// One connection.
pub(super) async fn find(desk: &Desk, id: &str) -> Result<Connection, Trouble> {
    let request = GetEnvironmentConnectionRequest {
        connection_id: id.to_owned(),
    };
    let answer = desk
        .rpc
        .connections()
        .get_environment_connection(request)
        .await?;
    Ok(answer.into_inner().connection.unwrap_or_default())
}

/// The name by which code calls the connection.
fn name(connection: &Connection) -> String {
    connection
        .key_id
        .clone()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| connection.id.clone())
}
