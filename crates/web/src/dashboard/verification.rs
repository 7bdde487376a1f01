//! Who may finish connecting an account (AK-320 to AK-326).

use super::{
    desk::Desk,
    direct_calls,
    trouble::{Answer, Trouble},
    verification_links,
};
use crate::{
    csrf::Posted,
    render::html,
    view::{Block, Card, CardBody, Choice, Field, Form, Kind, Notice, Page, Tone},
};
use http::StatusCode;
use keystead_proto::v1::environments::{
    AgentActionsConfig, ConnectedAccountUserVerifyMode as Mode, CreateAgentActionsConfigRequest,
    GetAgentActionsConfigRequest, UpdateAgentActionsConfigRequest,
};
use tonic::Code;

pub(super) async fn show(desk: Desk) -> Answer {
    let links = verification_links::form(&desk).await?;
    Ok(html(StatusCode::OK, &page_with(&desk, links).await?))
}

/// The page with what is stored, and this form about links.
pub(super) async fn page_with(desk: &Desk, links: Form) -> Result<Page, Trouble> {
    let config = load(desk).await?.unwrap_or_default();
    let mode = config.user_verify_mode;
    let form = form(desk, mode, config.detailed_error_logging());
    let calls = direct_calls::form(desk).await?;
    Ok(page(desk, mode, form, links, calls))
}

pub(super) async fn save(desk: Desk, Posted(sent): Posted) -> Answer {
    let config = AgentActionsConfig {
        user_verify_mode: Mode::from_str_name(sent.text("mode"))
            .unwrap_or_default()
            .into(),
        detailed_error_logging: Some(sent.has("detailed_error_logging")),
    };
    let id = desk.environment.id.clone();
    let mut environments = desk.rpc.environments();
    let saved = match load(&desk).await? {
        Some(_) => {
            let request = UpdateAgentActionsConfigRequest {
                id,
                agent_actions_config: Some(config),
            };
            environments
                .update_agent_actions_config(request)
                .await
                .map(|_| ())
        }
        None => {
            let request = CreateAgentActionsConfigRequest {
                id,
                agent_actions_config: Some(config),
            };
            environments
                .create_agent_actions_config(request)
                .await
                .map(|_| ())
        }
    };
    match saved {
        Ok(()) => Ok(desk.done("/verification", "saved")),
        Err(status) => {
            let mut form = form(
                &desk,
                config.user_verify_mode,
                config.detailed_error_logging(),
            );
            Trouble::from(status).blame(&mut form)?;
            let links = verification_links::form(&desk).await?;
            let calls = direct_calls::form(&desk).await?;
            Ok(html(
                StatusCode::UNPROCESSABLE_ENTITY,
                &page(&desk, config.user_verify_mode, form, links, calls),
            ))
        }
    }
}

/// The stored settings; `None` when there are none yet.
pub(super) async fn load(desk: &Desk) -> Result<Option<AgentActionsConfig>, Trouble> {
    let request = GetAgentActionsConfigRequest {
        id: desk.environment.id.clone(),
    };
    match desk
        .rpc
        .environments()
        .get_agent_actions_config(request)
        .await
    {
        Ok(answer) => Ok(answer.into_inner().agent_actions_config),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status.into()),
    }
}

fn form(desk: &Desk, mode: i32, detailed: bool) -> Form {
    let mode = Mode::try_from(mode).unwrap_or_default();
    // New environments begin with members only (AK-320).
    let mode = if mode == Mode::Unspecified {
        Mode::UserVerifyModeScalekitPlatform
    } else {
        mode
    };
    let choice = |value: Mode, label, about| {
        Choice::new(value.as_str_name(), label, about, mode.as_str_name())
    };
    let mut modes = vec![
        choice(
            Mode::UserVerifyModeB2b,
            "Your application verifies the user",
            "After the consent the browser comes to your application. It says which of its users that was, and only then is the account connected. For production.",
        ),
        choice(
            Mode::UserVerifyModeScalekitPlatform,
            "Members of this workspace only",
            "Whoever gives consent must be signed in to this dashboard. For trying things out with your team.",
        ),
    ];
    if !desk.is_production() || mode == Mode::UserVerifyModeNone {
        modes.push(choice(
            Mode::UserVerifyModeNone,
            "No verification",
            "Whoever opens a link connects the account. For development on your own machine only.",
        ));
    }
    desk.form("/verification", "Save")
        .field(Field::new("mode", "Who may finish connecting an account", Kind::Radio(modes)))
        .field(
            Field::new("detailed_error_logging", "Keep details of provider errors", Kind::Check)
                .value(if detailed { "on" } else { "" })
                .hint("Helps to find out why a call failed. The details can hold what the provider says about a user."),
        )
}

fn page(desk: &Desk, mode: i32, form: Form, links: Form, calls: Form) -> Page {
    let mut page = desk.page("verification", "User verification");
    page.narrow = true;
    page.lead = "Makes sure that the person who gives consent at a provider is the user the link was made for.".into();
    if desk.is_production() && mode != i32::from(Mode::UserVerifyModeB2b) {
        page.blocks.push(Block::Notice(Notice::new(
            Tone::Warn,
            "This production environment does not verify its users",
            "A user who is sent someone else's link could connect their own account to that person. Let your application verify the user.",
        )));
    }
    page.blocks.push(Block::Card(Box::new(Card {
        body: CardBody::Form(form),
        ..Card::default()
    })));
    page.blocks.push(Block::Card(Box::new(Card {
        title: "Authorization links".to_owned(),
        body: CardBody::Form(links),
        ..Card::default()
    })));
    page.blocks.push(Block::Card(Box::new(Card {
        title: "Direct calls".to_owned(),
        body: CardBody::Form(calls),
        ..Card::default()
    })));
    page
}
