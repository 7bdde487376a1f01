//! Connected accounts: whose account an agent acts with (AK-200 to AK-219).

mod change;
mod create;
mod detail;
mod history;
mod list;

use super::{desk::Desk, trouble::Trouble};
use crate::Deps;
use axum::{
    Router,
    routing::{get, post},
};
use keystead_proto::v1::connected_accounts::{ConnectedAccount, GetConnectedAccountRequest};

pub(super) use create::link_notice;

const SECTION: &str = "accounts";

pub(super) fn routes() -> Router<Deps> {
    Router::new()
        .route("/", get(list::show).post(create::create))
        .route("/new", get(create::ask))
        .route("/{id}", get(detail::show))
        .route("/{id}/link", post(detail::link))
        .route("/{id}/refresh", post(detail::refresh))
        .route(
            "/{id}/disconnect",
            get(change::ask_disconnect).post(change::disconnect),
        )
        .route("/{id}/delete", get(change::ask_delete).post(change::delete))
}

/// One account, without its credential.
async fn find(desk: &Desk, id: &str) -> Result<ConnectedAccount, Trouble> {
    let request = GetConnectedAccountRequest { id: id.to_owned() };
    let answer = desk.rpc.accounts().get_connected_account(request).await?;
    Ok(answer.into_inner().connected_account.unwrap_or_default())
}
