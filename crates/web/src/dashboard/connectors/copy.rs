//! Copies a connector to another environment, after showing what changes there (AK-022).

use super::{SECTION, find, pattern::Connector};
use crate::{
    csrf::Posted,
    dashboard::{
        desk::{Desk, production},
        json,
        rpc::{InProcess, from_form},
        trouble::{Answer, Trouble},
    },
    failure::Failure,
    render::{html, redirect},
    view::{Block, Card, CardBody, Catalogue, Cell, Item, Monogram, Page, Table},
};
use axum::extract::Path;
use http::StatusCode;
use keystead_proto::v1::{
    environments::Environment,
    providers::{
        CreateCustomProvider, CreateCustomProviderRequest, ListProvidersRequest, Provider,
        ProviderType, UpdateCustomProvider, UpdateCustomProviderRequest,
        list_providers_request::Filter,
    },
};

/// Everything a connector has: what is empty here becomes empty there.
const COPIED: &[&str] = &[
    "provider.display_name",
    "provider.description",
    "provider.auth_patterns",
    "provider.proxy_url",
    "provider.proxy_enabled",
    "provider.icon_src",
    "provider.metadata",
];

pub(super) async fn ask(desk: Desk, Path((_, id)): Path<(String, String)>) -> Answer {
    let connector = own(&desk, &id).await?;
    let Some(target) = target(&desk, desk.query.text("to")) else {
        return Ok(html(StatusCode::OK, &choose(&desk, &connector)));
    };
    let twin = twin(
        &desk.rpc.in_environment(&target.domain),
        &connector.provider.display_name,
    )
    .await?;
    let changes = changes(&connector, twin.as_ref());
    let mut page = page(&desk, &connector);
    page.lead = match (&twin, changes.is_empty()) {
        (None, _) => format!(
            "{} has no connector of this name. It will be created with these values.",
            target.display_name
        ),
        (Some(_), true) => format!(
            "The connector in {} is the same. There is nothing to copy.",
            target.display_name
        ),
        (Some(_), false) => format!(
            "{} has a connector of this name. These values will change.",
            target.display_name
        ),
    };
    if !changes.is_empty() {
        let row = |(name, before, after): (&str, String, String)| {
            vec![
                Cell::Text(name.to_owned()),
                Cell::Text(before),
                Cell::Text(after),
            ]
        };
        page.blocks.push(Block::Table(Table {
            caption: "Changes".to_owned(),
            columns: vec!["Value", "There now", "After copying"],
            rows: changes.into_iter().map(row).collect(),
            ..Table::default()
        }));
        let mut form = desk
            .form(
                &format!("/connectors/{id}/copy"),
                &format!("Copy to {}", target.display_name),
            )
            .hidden("to", &target.id);
        form.cancel = desk.path(&format!("/connectors/{id}"));
        page.blocks.push(Block::Card(Box::new(Card {
            title: format!("Copy to {}?", target.display_name),
            about: "Secrets are never part of a connector, so none are copied.".to_owned(),
            body: CardBody::Form(form),
            ..Card::default()
        })));
    }
    Ok(html(StatusCode::OK, &page))
}

pub(super) async fn copy(
    desk: Desk,
    Path((_, id)): Path<(String, String)>,
    Posted(sent): Posted,
) -> Answer {
    let connector = own(&desk, &id).await?;
    let target = target(&desk, sent.text("to")).ok_or(Failure::Missing)?;
    let there = desk.rpc.in_environment(&target.domain);
    let provider = &connector.provider;
    let patterns = Some(json::to_list(&connector.patterns));
    let identifier = match twin(&there, &provider.display_name).await? {
        Some(twin) => {
            let changed = UpdateCustomProvider {
                display_name: provider.display_name.clone(),
                description: provider.description.clone(),
                auth_patterns: patterns,
                proxy_url: provider.proxy_url.clone(),
                proxy_enabled: provider.proxy_enabled,
                icon_src: provider.icon_src.clone(),
                metadata: provider.metadata.clone(),
            };
            let request = UpdateCustomProviderRequest {
                identifier: twin.identifier.clone(),
                provider: Some(changed),
            };
            let request = from_form(request, COPIED);
            there.providers().update_custom_provider(request).await?;
            twin.identifier
        }
        None => {
            let new = CreateCustomProvider {
                display_name: provider.display_name.clone(),
                description: provider.description.clone(),
                auth_patterns: patterns,
                proxy_url: provider.proxy_url.clone(),
                proxy_enabled: provider.proxy_enabled,
                icon_src: provider.icon_src.clone(),
                metadata: provider.metadata.clone(),
            };
            let request = CreateCustomProviderRequest {
                provider: Some(new),
            };
            let request = from_form(request, COPIED);
            let made = there.providers().create_custom_provider(request).await?;
            made.into_inner().provider.unwrap_or_default().identifier
        }
    };
    let to = format!(
        "/dashboard/{}/connectors/{identifier}?done=connector-copied",
        target.id
    );
    Ok(redirect(StatusCode::SEE_OTHER, &to))
}

async fn own(desk: &Desk, id: &str) -> Result<Connector, Trouble> {
    let connector = find(desk, id).await?;
    if connector.provider.is_custom {
        Ok(connector)
    } else {
        Err(Failure::Missing.into())
    }
}

fn target<'a>(desk: &'a Desk, id: &str) -> Option<&'a Environment> {
    desk.environments
        .iter()
        .find(|environment| environment.id == id && environment.id != desk.environment.id)
}

fn metadata(provider: &Provider) -> String {
    let mut lines: Vec<String> = provider
        .metadata
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// The connector of the same name in the other environment.
async fn twin(there: &InProcess, name: &str) -> Result<Option<Provider>, Trouble> {
    let request = ListProvidersRequest {
        page_size: 1_000,
        filter: Some(Filter {
            provider_type: ProviderType::Custom.into(),
        }),
        ..Default::default()
    };
    let found = there
        .providers()
        .list_providers(request)
        .await?
        .into_inner()
        .providers;
    Ok(found
        .into_iter()
        .find(|provider| provider.display_name == name))
}

/// Name of the value, value there, value here: where they differ.
fn changes(connector: &Connector, twin: Option<&Provider>) -> Vec<(&'static str, String, String)> {
    let here = &connector.provider;
    let nothing = Provider::default();
    let there = twin.unwrap_or(&nothing);
    let patterns = there
        .auth_patterns
        .as_ref()
        .map(json::from_list)
        .unwrap_or_default();
    let pretty = |patterns: &[serde_json::Value]| {
        if patterns.is_empty() {
            String::new()
        } else {
            serde_json::to_string(patterns).unwrap_or_default()
        }
    };
    let word = |on: bool| if on { "Allowed" } else { "Off" }.to_owned();
    let values = [
        (
            "Name",
            there.display_name.clone(),
            here.display_name.clone(),
        ),
        (
            "Description",
            there.description.clone(),
            here.description.clone(),
        ),
        ("Address", there.proxy_url.clone(), here.proxy_url.clone()),
        (
            "Direct calls",
            if twin.is_some() {
                word(there.proxy_enabled)
            } else {
                String::new()
            },
            word(here.proxy_enabled),
        ),
        ("Sign-in", pretty(&patterns), pretty(&connector.patterns)),
        ("Icon", there.icon_src.clone(), here.icon_src.clone()),
        ("Metadata", metadata(there), metadata(here)),
    ];
    values
        .into_iter()
        .filter(|(_, there, here)| there != here)
        .collect()
}

fn page(desk: &Desk, connector: &Connector) -> Page {
    let name = &connector.provider.display_name;
    let mut page = desk.page(SECTION, format!("Copy {name}"));
    page.crumbs = vec![
        desk.crumb("/connectors", "Connectors"),
        desk.crumb(
            &format!("/connectors/{}", connector.provider.identifier),
            name,
        ),
    ];
    page
}

fn choose(desk: &Desk, connector: &Connector) -> Page {
    let mut page = page(desk, connector);
    page.lead =
        "Choose the environment to copy it to. You see what changes there before anything is done."
            .into();
    let others = desk
        .environments
        .iter()
        .filter(|environment| environment.id != desk.environment.id);
    let item = |environment: &Environment| Item {
        href: desk.path(&format!(
            "/connectors/{}/copy?to={}",
            connector.provider.identifier, environment.id
        )),
        name: environment.display_name.clone(),
        tile: Monogram::of(&environment.display_name),
        how: if production(environment) {
            "Production"
        } else {
            "Development"
        }
        .to_owned(),
        about: String::new(),
        tags: Vec::new(),
    };
    page.blocks.push(Block::Catalogue(Catalogue {
        items: others.map(item).collect(),
        total: String::new(),
    }));
    page
}
