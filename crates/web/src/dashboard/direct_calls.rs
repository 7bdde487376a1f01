//! Whether built-in connectors may be called directly (AK-455).

use super::{
    desk::Desk,
    trouble::{Answer, Trouble},
};
use crate::{
    csrf::Posted,
    view::{Field, Form, Kind},
};
use keystead_proto::extensions::{
    AgentCallSettings, GetAgentCallSettingsRequest, UpdateAgentCallSettingsRequest,
};

pub(super) async fn save(desk: Desk, Posted(sent): Posted) -> Answer {
    let request = UpdateAgentCallSettingsRequest {
        id: desk.environment.id.clone(),
        settings: Some(AgentCallSettings {
            builtin_direct_calls: sent.has("builtin_direct_calls"),
        }),
    };
    let mut client = desk.rpc.environment_extensions();
    client.update_agent_call_settings(request).await?;
    Ok(desk.done("/verification", "saved"))
}

/// The form with what is stored.
pub(super) async fn form(desk: &Desk) -> Result<Form, Trouble> {
    let request = GetAgentCallSettingsRequest {
        id: desk.environment.id.clone(),
    };
    let mut client = desk.rpc.environment_extensions();
    let answer = client.get_agent_call_settings(request).await?;
    let settings = answer.into_inner().settings.unwrap_or_default();
    let on = if settings.builtin_direct_calls {
        "on"
    } else {
        ""
    };
    Ok(desk.form("/verification/calls", "Save calls").field(
        Field::new(
            "builtin_direct_calls",
            "Allow direct calls with built-in connectors",
            Kind::Check,
        )
        .value(on)
        .hint(
            "Your code then calls any address of a provider's API with a connected account. Connectors of your own have a switch of their own.",
        ),
    ))
}
