//! Connecting the one account that all users of a connection act with (AK-240).

use super::{detail, find, settings};
use crate::{
    csrf::Posted,
    dashboard::{accounts, desk::Desk, trouble::Answer},
    render::html,
    view::{Block, Notice, Tone},
};
use axum::extract::Path;
use http::StatusCode;
use keystead_proto::v1::connected_accounts::AuthorizeOrgWideCredentialRequest;

pub(super) async fn connect(
    desk: Desk,
    Path((_, id)): Path<(String, String)>,
    Posted(_): Posted,
) -> Answer {
    let connection = find(&desk, &id).await?;
    let request = AuthorizeOrgWideCredentialRequest {
        connection_id: id,
        ..Default::default()
    };
    let mut rpc = desk.rpc.accounts();
    let answer = rpc.authorize_org_wide_credential(request).await?;
    let answer = answer.into_inner();
    let notice = match &answer.link {
        Some(link) => accounts::link_notice(
            link,
            answer.expiry.as_ref(),
            "Open this link to connect the shared account",
            "Whoever opens it connects the account that everybody then acts with.",
        ),
        None => Notice {
            toast: true,
            ..Notice::new(Tone::Good, "The shared account is connected", "")
        },
    };
    let form = settings::form(&desk, &connection, None).await?;
    let mut page = detail::page(&desk, &connection, form).await?;
    page.blocks.insert(0, Block::Notice(notice));
    Ok(html(StatusCode::OK, &page))
}
