//! Secrets of a client: made and shown once, revoked.

use super::{SECTION, client_page, load};
use crate::{
    csrf::Posted,
    dashboard::{desk::Desk, trouble::Answer, words},
    failure::Failure,
    render::html,
    view::{Action, Cell, Notice, Tone},
};
use axum::extract::Path;
use http::StatusCode;
use keystead_proto::v1::clients::{
    ClientSecret, ClientSecretStatus, CreateClientSecretRequest, DeleteClientSecretRequest,
};

/// The secret is in the answer to this POST and nowhere else: it is shown once.
pub(super) async fn create(
    desk: Desk,
    Path((_, id)): Path<(String, String)>,
    Posted(_): Posted,
) -> Answer {
    let request = CreateClientSecretRequest {
        client_id: id.clone(),
    };
    let secret = desk
        .rpc
        .api_clients()
        .create_client_secret(request)
        .await?
        .into_inner()
        .plain_secret;
    let notice = Notice {
        text:
            "This is the only time it is shown. Store it where your application reads its secrets."
                .to_owned(),
        copy: secret,
        toast: true,
        ..Notice::new(Tone::Good, "Copy the new secret now", "")
    };
    let client = load(&desk, &id).await?;
    Ok(html(
        StatusCode::OK,
        &client_page(&desk, &client, Some(notice)),
    ))
}

/// The row of a secret.
pub(super) fn row(desk: &Desk, path: &str, secret: &ClientSecret) -> Vec<Cell> {
    let active = secret.status == i32::from(ClientSecretStatus::Active);
    let (tone, state) = if active {
        (Tone::Good, "Active")
    } else {
        (Tone::Neutral, "Inactive")
    };
    let revoke = desk.path(&format!("{path}/secrets/{}/revoke", secret.id));
    vec![
        Cell::Code(format!("…{}", secret.secret_suffix)),
        Cell::Badge(tone, state.to_owned()),
        words::time_cell(secret.create_time.as_ref(), "–"),
        words::time_cell(secret.last_used_time.as_ref(), "Never"),
        Cell::Actions(vec![Action::link("Revoke…", revoke).danger().small()]),
    ]
}

pub(super) async fn ask_revoke(
    desk: Desk,
    Path((_, id, secret)): Path<(String, String, String)>,
) -> Answer {
    let client = load(&desk, &id).await?;
    let Some(known) = client.secrets.iter().find(|known| known.id == secret) else {
        return Err(Failure::Missing.into());
    };
    let path = format!("/credentials/{id}");
    let mut form = desk.form(&format!("{path}/secrets/{secret}/revoke"), "Revoke secret");
    form.danger = true;
    form.cancel = desk.path(&path);
    let title = format!("Revoke the secret ending in {}?", known.secret_suffix);
    let consequences = [
        "Applications that use it can no longer get a token.",
        "Tokens made with it stop working within a minute.",
        "A revoked secret cannot be brought back.",
    ];
    Ok(html(
        StatusCode::OK,
        &desk.confirm(SECTION, title, &consequences, form),
    ))
}

pub(super) async fn revoke(
    desk: Desk,
    Path((_, id, secret)): Path<(String, String, String)>,
    Posted(sent): Posted,
) -> Answer {
    if let Some(again) =
        desk.unconfirmed(&sent, &format!("/credentials/{id}/secrets/{secret}/revoke"))
    {
        return Ok(again);
    }
    let request = DeleteClientSecretRequest {
        client_id: id.clone(),
        secret_id: secret,
    };
    desk.rpc.api_clients().delete_client_secret(request).await?;
    Ok(desk.done(&format!("/credentials/{id}"), "secret-revoked"))
}
