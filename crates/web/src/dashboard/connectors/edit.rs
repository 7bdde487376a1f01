//! Creating and changing a connector of one's own (AK-004 to AK-019).

use super::{SECTION, find, form};
use crate::{
    csrf::Posted,
    dashboard::{
        desk::Desk,
        json,
        rpc::from_form,
        trouble::{Answer, Refusal, Trouble},
    },
    failure::Failure,
    form_data::FormData,
    render::html,
    view::{Block, Card, CardBody, Catalogue, Form, Item, Monogram, Page},
};
use axum::extract::Path;
use http::StatusCode;
use keystead_proto::v1::providers::{
    CreateCustomProvider, CreateCustomProviderRequest, UpdateCustomProvider,
    UpdateCustomProviderRequest,
};
use serde_json::Value as Json;

const KINDS: &[(&str, &str, &str)] = &[
    (
        "OAUTH",
        "OAuth 2.0",
        "Users give permission at the service. Nobody types a password here.",
    ),
    (
        "API_KEY",
        "API key",
        "Users paste a key from the service's settings.",
    ),
    (
        "BEARER",
        "Bearer token",
        "Users paste a personal access token.",
    ),
    (
        "BASIC",
        "Username and password",
        "Users enter what they sign in with.",
    ),
    (
        "NO_AUTH",
        "No authentication",
        "For MCP servers that anyone may call.",
    ),
    (
        "JSON",
        "Written as JSON",
        "Several ways to sign in, or fields the forms do not offer.",
    ),
];

/// What every form of a connector shows, as the contract names it.
const SHOWN: &[&str] = &[
    "provider.display_name",
    "provider.description",
    "provider.auth_patterns",
    "provider.proxy_url",
    "provider.proxy_enabled",
];

/// First the kind of sign-in, then the form for it.
pub(super) async fn ask_new(desk: Desk) -> Answer {
    let kind = desk.query.text("auth").to_owned();
    if !KINDS.iter().any(|(known, ..)| *known == kind) {
        return Ok(html(StatusCode::OK, &kind_page(&desk)));
    }
    let form = form::build(&desk, &kind, &FormData::default(), desk.path("/connectors"));
    Ok(html(StatusCode::OK, &page(&desk, "New connector", form)))
}

fn kind_page(desk: &Desk) -> Page {
    let mut page = desk.page(SECTION, "How do users sign in to it?");
    page.lead =
        "Choose how accounts of the service authenticate. The documentation of its API says which."
            .into();
    page.crumbs = vec![desk.crumb("/connectors", "Connectors")];
    let item = |(kind, name, about): &(&str, &str, &str)| Item {
        href: desk.path(&format!("/connectors/new?auth={kind}")),
        name: (*name).to_owned(),
        tile: Monogram::of(name),
        how: String::new(),
        about: (*about).to_owned(),
        tags: Vec::new(),
    };
    page.blocks.push(Block::Catalogue(Catalogue {
        items: KINDS.iter().map(item).collect(),
        total: String::new(),
    }));
    page
}

pub(super) async fn create(desk: Desk, Posted(sent): Posted) -> Answer {
    let provider = match form::read(&sent, None) {
        Ok(entered) => CreateCustomProvider {
            display_name: entered.display_name,
            description: entered.description,
            auth_patterns: Some(json::to_list(&entered.patterns)),
            proxy_url: entered.proxy_url,
            proxy_enabled: entered.proxy_enabled,
            ..Default::default()
        },
        Err(errors) => {
            return again(
                &desk,
                "New connector",
                &sent,
                desk.path("/connectors"),
                refused(errors),
            );
        }
    };
    let request = CreateCustomProviderRequest {
        provider: Some(provider),
    };
    let request = from_form(request, SHOWN);
    match desk.rpc.providers().create_custom_provider(request).await {
        Ok(answer) => {
            let id = answer.into_inner().provider.unwrap_or_default().identifier;
            Ok(desk.done(&format!("/connectors/{id}"), "connector-created"))
        }
        Err(status) => again(
            &desk,
            "New connector",
            &sent,
            desk.path("/connectors"),
            status.into(),
        ),
    }
}

pub(super) async fn ask(desk: Desk, Path((_, id)): Path<(String, String)>) -> Answer {
    let connector = find(&desk, &id).await?;
    if !connector.provider.is_custom {
        return Err(Failure::Missing.into());
    }
    let (kind, values) = form::values(&connector);
    let mut form = form::build(
        &desk,
        &kind,
        &values,
        desk.path(&format!("/connectors/{id}/edit")),
    );
    form.cancel = desk.path(&format!("/connectors/{id}"));
    "Save".clone_into(&mut form.submit);
    Ok(html(
        StatusCode::OK,
        &page(
            &desk,
            &format!("Edit {}", connector.provider.display_name),
            form,
        ),
    ))
}

pub(super) async fn update(
    desk: Desk,
    Path((_, id)): Path<(String, String)>,
    Posted(sent): Posted,
) -> Answer {
    let connector = find(&desk, &id).await?;
    let title = format!("Edit {}", connector.provider.display_name);
    let action = desk.path(&format!("/connectors/{id}/edit"));
    let before: Option<&Json> = connector.patterns.first();
    let provider = match form::read(&sent, before) {
        Ok(entered) => UpdateCustomProvider {
            display_name: entered.display_name,
            description: entered.description,
            auth_patterns: Some(json::to_list(&entered.patterns)),
            proxy_url: entered.proxy_url,
            proxy_enabled: entered.proxy_enabled,
            // The form does not show the icon and the metadata: not named, they stay as they are.
            ..Default::default()
        },
        Err(errors) => return again(&desk, &title, &sent, action, refused(errors)),
    };
    let request = UpdateCustomProviderRequest {
        identifier: id.clone(),
        provider: Some(provider),
    };
    let request = from_form(request, SHOWN);
    match desk.rpc.providers().update_custom_provider(request).await {
        Ok(_) => Ok(desk.done(&format!("/connectors/{id}"), "saved")),
        Err(status) => again(&desk, &title, &sent, action, status.into()),
    }
}

fn refused(fields: Vec<(String, String)>) -> Trouble {
    Trouble::Refused(Refusal {
        message: String::new(),
        fields,
    })
}

/// The form again, with what was entered and what is wrong.
fn again(desk: &Desk, title: &str, sent: &FormData, action: String, trouble: Trouble) -> Answer {
    let mut form = form::build(desk, sent.text("auth"), sent, action);
    trouble.blame(&mut form)?;
    Ok(html(
        StatusCode::UNPROCESSABLE_ENTITY,
        &page(desk, title, form),
    ))
}

fn page(desk: &Desk, title: &str, form: Form) -> Page {
    let mut page = desk.page(SECTION, title);
    page.narrow = true;
    page.crumbs = vec![desk.crumb("/connectors", "Connectors")];
    page.blocks.push(Block::Card(Box::new(Card {
        body: CardBody::Form(form),
        ..Card::default()
    })));
    page
}
