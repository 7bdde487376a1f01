use super::{
    SECTION, find,
    pattern::{Connector, flag, list, text},
};
use crate::{
    csrf::Posted,
    dashboard::{desk::Desk, trouble::Answer, words},
    failure::Failure,
    render::html,
    view::{Action, Block, Card, CardBody, Cell, Fact, FactValue, Monogram, Page, Table, Tone},
};
use axum::extract::Path;
use http::StatusCode;
use keystead_proto::v1::providers::DeleteProviderRequest;
use serde_json::Value as Json;

pub(super) async fn show(desk: Desk, Path((_, id)): Path<(String, String)>) -> Answer {
    let connector = find(&desk, &id).await?;
    Ok(html(StatusCode::OK, &page(&desk, &connector)))
}

fn page(desk: &Desk, connector: &Connector) -> Page {
    let provider = &connector.provider;
    let path = format!("/connectors/{}", provider.identifier);
    let mut page = desk.page(SECTION, provider.display_name.clone());
    page.lead.clone_from(&provider.description);
    page.tile = Some(Monogram::of(&provider.display_name));
    page.crumbs = vec![desk.crumb("/connectors", "Connectors")];
    if provider.is_custom {
        page.badge = Some((
            Tone::Info,
            if provider.is_custom_mcp {
                "Custom MCP"
            } else {
                "Custom"
            }
            .to_owned(),
        ));
        page.actions
            .push(Action::link("Edit", desk.path(&format!("{path}/edit"))));
        if desk.environments.len() > 1 {
            page.actions
                .push(Action::link("Copy to…", desk.path(&format!("{path}/copy"))));
        }
    }
    if !provider.coming_soon {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("connector", &provider.identifier)
            .finish();
        page.actions.push(
            Action::link(
                "Create connection",
                desk.path(&format!("/connections/new?{query}")),
            )
            .primary(),
        );
    }
    page.blocks.push(Block::Card(Box::new(Card {
        title: "Details".to_owned(),
        body: CardBody::Facts(vec![
            Fact::new("Identifier", FactValue::Code(provider.identifier.clone())),
            Fact::new("Categories", FactValue::Tags(provider.categories.clone())),
            Fact::new("Address", FactValue::Code(provider.proxy_url.clone()))
                .note("Parts in {{braces}} are filled in for each account."),
            Fact::text(
                "Direct calls",
                if provider.proxy_enabled {
                    "Allowed: your agent can call the service's own API through us"
                } else {
                    "Off"
                },
            ),
        ]),
        ..Card::default()
    })));
    for pattern in &connector.patterns {
        page.blocks
            .push(Block::Card(Box::new(pattern_card(pattern))));
    }
    if provider.is_custom {
        page.blocks.push(Block::Card(Box::new(Card {
            title: "Delete connector".to_owned(),
            about: "Possible once it has no connections.".to_owned(),
            actions: vec![Action::link("Delete…", desk.path(&format!("{path}/delete"))).danger()],
            danger: true,
            ..Card::default()
        })));
    }
    page
}

fn pattern_card(pattern: &Json) -> Card {
    let kind = text(pattern, "type");
    let name = text(pattern, "display_name");
    let mut facts = Vec::new();
    if let Some(oauth) = pattern.get("oauth_config") {
        for (label, key) in [
            ("Authorization URL", "authorize_uri"),
            ("Token URL", "token_uri"),
            ("User info URL", "user_info_uri"),
        ] {
            if !text(oauth, key).is_empty() {
                facts.push(Fact::new(
                    label,
                    FactValue::Code(text(oauth, key).to_owned()),
                ));
            }
        }
        let scopes = list(oauth, "available_scopes")
            .iter()
            .map(|scope| text(scope, "scope").to_owned());
        facts.push(Fact::new("Permissions", FactValue::Tags(scopes.collect())));
    }
    if !text(pattern, "auth_header_key_override").is_empty() {
        facts.push(Fact::new(
            "Header",
            FactValue::Code(text(pattern, "auth_header_key_override").to_owned()),
        ));
    }
    let fields: Vec<&Json> = list(pattern, "fields")
        .iter()
        .chain(list(pattern, "account_fields"))
        .collect();
    Card {
        title: if name.is_empty() {
            words::auth_type(kind).to_owned()
        } else {
            name.to_owned()
        },
        about: text(pattern, "description").to_owned(),
        body: match (facts.is_empty(), fields.is_empty()) {
            (true, false) => CardBody::Table(field_table(&fields)),
            (true, true) => CardBody::Facts(vec![Fact::text("Sign-in", words::auth_type(kind))]),
            (false, _) => {
                let names = fields
                    .iter()
                    .map(|field| text(field, "label").to_owned())
                    .collect();
                facts.push(Fact::new("Asked of the user", FactValue::Tags(names)));
                CardBody::Facts(facts)
            }
        },
        ..Card::default()
    }
}

fn field_table(fields: &[&Json]) -> Table {
    let row = |field: &&Json| {
        vec![
            Cell::Text(text(field, "label").to_owned()),
            Cell::Code(text(field, "field_name").to_owned()),
            Cell::Text(
                if flag(field, "required") {
                    "Required"
                } else {
                    "Optional"
                }
                .to_owned(),
            ),
            Cell::Text(text(field, "hint").to_owned()),
        ]
    };
    Table {
        caption: "What users enter".to_owned(),
        columns: vec!["Users enter", "Name", "Needed", "Hint"],
        rows: fields.iter().map(row).collect(),
        ..Table::default()
    }
}

pub(super) async fn ask_delete(desk: Desk, Path((_, id)): Path<(String, String)>) -> Answer {
    let connector = find(&desk, &id).await?;
    if !connector.provider.is_custom {
        return Err(Failure::Missing.into());
    }
    let path = format!("/connectors/{id}");
    let mut form = desk.form(&format!("{path}/delete"), "Delete connector");
    form.danger = true;
    form.cancel = desk.path(&path);
    let consequences = [
        "It disappears from the catalogue of this environment.",
        "Nothing is deleted while it still has connections or connected accounts: delete those first.",
    ];
    let title = format!("Delete the connector {}?", connector.provider.display_name);
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
    if let Some(again) = desk.unconfirmed(&sent, &format!("/connectors/{id}/delete")) {
        return Ok(again);
    }
    desk.rpc
        .providers()
        .delete_custom_provider(DeleteProviderRequest { identifier: id })
        .await?;
    Ok(desk.done("/connectors", "connector-deleted"))
}
