//! Switching a connection on and off, and deleting it (AK-121).

use super::{SECTION, detail, find, name};
use crate::{
    csrf::Posted,
    dashboard::{
        desk::Desk,
        trouble::{Answer, Refusal, Trouble},
        words,
    },
    render::html,
    view::{Field, Kind},
};
use axum::extract::Path;
use http::StatusCode;
use keystead_proto::extensions::DeleteConnectionWithAccountsRequest;
use keystead_proto::v1::connections::{
    DeleteEnvironmentConnectionRequest, ToggleConnectionResponse,
    ToggleEnvironmentConnectionRequest,
};

pub(super) async fn enable(
    desk: Desk,
    Path((_, id)): Path<(String, String)>,
    Posted(_): Posted,
) -> Answer {
    let request = ToggleEnvironmentConnectionRequest {
        connection_id: id.clone(),
    };
    let answer = desk
        .rpc
        .connections()
        .enable_environment_connection(request)
        .await?
        .into_inner();
    succeeded(answer)?;
    Ok(desk.done(&format!("/connections/{id}"), "connection-enabled"))
}

pub(super) async fn ask_disable(desk: Desk, Path((_, id)): Path<(String, String)>) -> Answer {
    let connection = find(&desk, &id).await?;
    let mut form = desk.form(&format!("/connections/{id}/disable"), "Disable connection");
    form.danger = true;
    form.cancel = desk.path(&format!("/connections/{id}"));
    let title = format!("Disable the connection {}?", name(&connection));
    let consequences = [
        "Calls with it fail at once.",
        "Nobody can connect an account.",
        "Accounts and their credentials are kept. You can enable it again at any time.",
    ];
    Ok(html(
        StatusCode::OK,
        &desk.confirm(SECTION, title, &consequences, form),
    ))
}

pub(super) async fn disable(
    desk: Desk,
    Path((_, id)): Path<(String, String)>,
    Posted(sent): Posted,
) -> Answer {
    if let Some(again) = desk.unconfirmed(&sent, &format!("/connections/{id}/disable")) {
        return Ok(again);
    }
    let request = ToggleEnvironmentConnectionRequest {
        connection_id: id.clone(),
    };
    let answer = desk
        .rpc
        .connections()
        .disable_environment_connection(request)
        .await?
        .into_inner();
    succeeded(answer)?;
    Ok(desk.done(&format!("/connections/{id}"), "connection-disabled"))
}

/// A toggle can answer with a reason instead of an error.
fn succeeded(answer: ToggleConnectionResponse) -> Result<(), Trouble> {
    match answer.error_message.filter(|message| !message.is_empty()) {
        Some(message) => Err(Trouble::Refused(Refusal {
            message,
            fields: Vec::new(),
        })),
        None => Ok(()),
    }
}

pub(super) async fn ask_delete(desk: Desk, Path((_, id)): Path<(String, String)>) -> Answer {
    let connection = find(&desk, &id).await?;
    let number = detail::accounts(&desk, &connection).await;
    let counted = words::count(
        number.unwrap_or_default(),
        "connected account",
        "connected accounts",
    );
    let accounts = match number {
        Some(0) => "It has no connected accounts.".to_owned(),
        Some(_) => format!("It still has {counted}. It is deleted only together with them."),
        None => "It must have no connected accounts.".to_owned(),
    };
    let mut form = desk.form(&format!("/connections/{id}/delete"), "Delete connection");
    form.danger = true;
    if number.is_some_and(|number| number > 0) {
        form = form.field(
            Field::new("with_accounts", &format!("Delete its {counted} too"), Kind::Check)
                .hint("Their users lose access at once. At services that take it, the access is revoked there too."),
        );
    }
    form.cancel = desk.path(&format!("/connections/{id}"));
    let title = format!("Delete the connection {}?", name(&connection));
    let consequences = [
        "Its settings and client secret are deleted.",
        "Code that uses its name stops working.",
        accounts.as_str(),
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
    if let Some(again) = desk.unconfirmed(&sent, &format!("/connections/{id}/delete")) {
        return Ok(again);
    }
    if sent.has("with_accounts") {
        let request = DeleteConnectionWithAccountsRequest { connection_id: id };
        let mut client = desk.rpc.connection_extensions();
        client.delete_connection_with_accounts(request).await?;
        return Ok(desk.done("/connections", "connection-deleting"));
    }
    let request = DeleteEnvironmentConnectionRequest { connection_id: id };
    desk.rpc
        .connections()
        .delete_environment_connection(request)
        .await?;
    Ok(desk.done("/connections", "connection-deleted"))
}
