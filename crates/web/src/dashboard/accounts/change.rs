//! Disconnecting and deleting an account (AK-213, AK-214).

use super::{SECTION, find};
use crate::{
    csrf::Posted,
    dashboard::{desk::Desk, trouble::Answer},
    render::html,
};
use axum::extract::Path;
use http::StatusCode;
use keystead_proto::v1::connected_accounts::{
    DeleteConnectedAccountRequest, DisconnectConnectedAccountRequest,
};

pub(super) async fn ask_disconnect(desk: Desk, Path((_, id)): Path<(String, String)>) -> Answer {
    let account = find(&desk, &id).await?;
    let mut form = desk.form(&format!("/accounts/{id}/disconnect"), "Disconnect account");
    form.danger = true;
    form.cancel = desk.path(&format!("/accounts/{id}"));
    let title = format!(
        "Disconnect {} from {}?",
        account.identifier, account.connector
    );
    let consequences = [
        "Its credential is deleted. Calls with the account fail at once.",
        "The account stays in the list. A new link connects it again.",
    ];
    Ok(html(
        StatusCode::OK,
        &desk.confirm(SECTION, title, &consequences, form),
    ))
}

pub(super) async fn disconnect(
    desk: Desk,
    Path((_, id)): Path<(String, String)>,
    Posted(sent): Posted,
) -> Answer {
    if let Some(again) = desk.unconfirmed(&sent, &format!("/accounts/{id}/disconnect")) {
        return Ok(again);
    }
    let request = DisconnectConnectedAccountRequest { id: id.clone() };
    desk.rpc
        .accounts()
        .disconnect_connected_account(request)
        .await?;
    Ok(desk.done(&format!("/accounts/{id}"), "account-disconnected"))
}

pub(super) async fn ask_delete(desk: Desk, Path((_, id)): Path<(String, String)>) -> Answer {
    let account = find(&desk, &id).await?;
    let mut form = desk.form(&format!("/accounts/{id}/delete"), "Delete account");
    form.danger = true;
    form.cancel = desk.path(&format!("/accounts/{id}"));
    let title = format!(
        "Delete the account {} of {}?",
        account.identifier, account.connector
    );
    let consequences = [
        "The account and its credential are deleted for good.",
        "The permission is taken back at the service when it allows that.",
        "Links for the account stop working.",
    ];
    Ok(html(
        StatusCode::OK,
        &desk.confirm(SECTION, title, &consequences, form),
    ))
}

pub(super) async fn delete(
    desk: Desk,
    Path((_, id)): Path<(String, String)>,
    Posted(sent): Posted,
) -> Answer {
    if let Some(again) = desk.unconfirmed(&sent, &format!("/accounts/{id}/delete")) {
        return Ok(again);
    }
    let request = DeleteConnectedAccountRequest {
        id: Some(id),
        ..Default::default()
    };
    desk.rpc
        .accounts()
        .delete_connected_account(request)
        .await?;
    Ok(desk.done("/accounts", "account-deleted"))
}
