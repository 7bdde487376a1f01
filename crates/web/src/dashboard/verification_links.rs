//! How long links work, and where applications may verify their users (AK-302, AK-324, AK-325).

use super::{
    desk::Desk,
    trouble::{Answer, Trouble},
    verification,
};
use crate::{
    csrf::Posted,
    form_data::FormData,
    render::html,
    view::{Field, Form, Kind},
};
use http::StatusCode;
use keystead_proto::extensions::{
    AgentLinkSettings, GetAgentLinkSettingsRequest, UpdateAgentLinkSettingsRequest,
};

const SECONDS_OF_A_MINUTE: u32 = 60;

pub(super) async fn save(desk: Desk, Posted(sent): Posted) -> Answer {
    // What is no number becomes 0, which is refused with the limits.
    let minutes: u32 = sent.text("link_lifetime_seconds").parse().unwrap_or(0);
    let request = UpdateAgentLinkSettingsRequest {
        id: desk.environment.id.clone(),
        settings: Some(AgentLinkSettings {
            link_lifetime_seconds: minutes.saturating_mul(SECONDS_OF_A_MINUTE),
            default_user_verify_url: sent.text("default_user_verify_url").to_owned(),
            allowed_user_verify_urls: sent.lines("allowed_user_verify_urls"),
        }),
    };
    let mut client = desk.rpc.environment_extensions();
    match client.update_agent_link_settings(request).await {
        Ok(_) => Ok(desk.done("/verification", "saved")),
        Err(status) => {
            let mut form = form_of(&desk, &sent);
            Trouble::from(status).blame(&mut form)?;
            let page = verification::page_with(&desk, form).await?;
            Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
    }
}

/// The form with what is stored.
pub(super) async fn form(desk: &Desk) -> Result<Form, Trouble> {
    let request = GetAgentLinkSettingsRequest {
        id: desk.environment.id.clone(),
    };
    let mut client = desk.rpc.environment_extensions();
    let answer = client.get_agent_link_settings(request).await?;
    let settings = answer.into_inner().settings.unwrap_or_default();
    let minutes = settings.link_lifetime_seconds / SECONDS_OF_A_MINUTE;
    Ok(fields(
        desk,
        &minutes.to_string(),
        &settings.default_user_verify_url,
        &settings.allowed_user_verify_urls.join("\n"),
    ))
}

fn form_of(desk: &Desk, sent: &FormData) -> Form {
    fields(
        desk,
        sent.text("link_lifetime_seconds"),
        sent.text("default_user_verify_url"),
        &sent.lines("allowed_user_verify_urls").join("\n"),
    )
}

fn fields(desk: &Desk, minutes: &str, default_url: &str, allowed: &str) -> Form {
    desk.form("/verification/links", "Save links")
        .field(
            Field::new("link_lifetime_seconds", "Links work for (minutes)", Kind::Text)
                .value(minutes)
                .hint("1 to 10080, which is a week. Links that were made before keep their end."),
        )
        .field(
            Field::new("default_user_verify_url", "Address for verification", Kind::Mono)
                .value(default_url)
                .hint("Where the browser goes after the consent when your application names no address with the link."),
        )
        .field(
            Field::new("allowed_user_verify_urls", "Allowed addresses", Kind::Lines)
                .value(allowed)
                .hint("One in a line. A link's address for verification must be at one of them or below. Empty allows all."),
        )
}
