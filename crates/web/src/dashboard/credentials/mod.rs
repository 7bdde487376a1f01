//! API credentials: clients and their secrets (LG-280 to LG-284, flow 3.5).

mod secrets;

use super::{
    desk::Desk,
    overview,
    trouble::{Answer, Trouble},
    words,
};
use crate::{
    Deps,
    csrf::Posted,
    form_data::FormData,
    render::html,
    view::{
        Action, Block, Card, CardBody, Cell, Choice, Empty, Fact, FactValue, Field, Form, Icon,
        Kind, Notice, Page, Pager, Table,
    },
};
use axum::{
    Router,
    extract::Path,
    routing::{get, post},
};
use http::StatusCode;
use keystead_proto::v1::clients::{
    Client, ClientSecretStatus, CreateClient, CreateClientRequest, DeleteClientRequest,
    GetClientRequest, ListClientsRequest,
};

const SECTION: &str = "credentials";
/// A client holds at most this many active secrets.
const MAX_SECRETS: usize = 2;

pub(super) fn routes() -> Router<Deps> {
    Router::new()
        .route("/", get(list).post(create))
        .route("/new", get(ask_new))
        .route("/{client}", get(show))
        .route("/{client}/secrets", post(secrets::create))
        .route(
            "/{client}/secrets/{secret}/revoke",
            get(secrets::ask_revoke).post(secrets::revoke),
        )
        .route("/{client}/delete", get(ask_delete).post(delete))
}

async fn list(desk: Desk) -> Answer {
    let request = ListClientsRequest {
        page_size: 30,
        page_token: desk.query.text("page").to_owned(),
        ..Default::default()
    };
    let found = desk
        .rpc
        .api_clients()
        .list_client(request)
        .await?
        .into_inner();
    let rows = found.clients.iter().map(|client| {
        vec![
            words::lead(
                desk.path(&format!("/credentials/{}", client.id)),
                name(client),
                &client.id,
                name(client),
            ),
            Cell::Text(kind(&client.client_type).to_owned()),
            Cell::Text(words::count(
                active(client) as u64,
                "active secret",
                "active secrets",
            )),
            words::time_cell(client.create_time.as_ref(), "–"),
        ]
    });
    let mut page = desk.page(SECTION, "API credentials");
    page.lead =
        "A client and its secret prove to the API that a call comes from your application.".into();
    page.actions = vec![Action::link("New client", desk.path("/credentials/new")).primary()];
    page.blocks.push(Block::Table(Table {
        caption: "Clients".to_owned(),
        columns: vec!["Client", "Type", "Secrets", "Created"],
        rows: rows.collect(),
        empty: Some(Empty {
            icon: Icon::Key,
            title: "No clients yet".to_owned(),
            text: "Create a client for each application that calls the API.".to_owned(),
            actions: vec![Action::link("New client", desk.path("/credentials/new")).primary()],
        }),
        pager: pager(&desk, &found.prev_page_token, &found.next_page_token),
    }));
    Ok(html(StatusCode::OK, &page))
}

fn pager(desk: &Desk, previous: &str, next: &str) -> Pager {
    let to = |token: &str| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("page", token)
            .finish();
        if token.is_empty() {
            String::new()
        } else {
            format!("{}?{query}", desk.path("/credentials"))
        }
    };
    Pager {
        previous: to(previous),
        next: to(next),
        total: String::new(),
    }
}

async fn ask_new(desk: Desk) -> Answer {
    let form = new_form(&desk, &FormData::default());
    Ok(html(StatusCode::OK, &new_page(&desk, form)))
}

async fn create(desk: Desk, Posted(sent): Posted) -> Answer {
    let client = CreateClient {
        name: sent.text("name").to_owned(),
        client_type: sent.text("client_type").to_owned(),
        ..Default::default()
    };
    let request = CreateClientRequest {
        client: Some(client),
    };
    match desk.rpc.api_clients().create_client(request).await {
        Ok(answer) => {
            let id = answer.into_inner().client.unwrap_or_default().id;
            Ok(desk.done(&format!("/credentials/{id}"), "client-created"))
        }
        Err(status) => {
            let mut form = new_form(&desk, &sent);
            Trouble::from(status).blame(&mut form)?;
            Ok(html(
                StatusCode::UNPROCESSABLE_ENTITY,
                &new_page(&desk, form),
            ))
        }
    }
}

fn new_form(desk: &Desk, sent: &FormData) -> Form {
    let chosen = if sent.has("client_type") {
        sent.text("client_type")
    } else {
        "WEB_APP"
    };
    let kinds = vec![
        Choice::new(
            "WEB_APP",
            "Server",
            "Runs where users cannot look inside. Can keep a secret.",
            chosen,
        ),
        Choice::new(
            "SPA",
            "Browser app",
            "Runs in the browser. Cannot keep a secret.",
            chosen,
        ),
        Choice::new(
            "NTV",
            "Native app",
            "Runs on the user's device. Cannot keep a secret.",
            chosen,
        ),
    ];
    let mut form = desk
        .form("/credentials", "Create client")
        .field(
            Field::new("name", "Name", Kind::Text)
                .required()
                .max(128)
                .hint("Which application is it? You see the name in logs.")
                .value(sent.text("name")),
        )
        .field(Field::new("client_type", "Type", Kind::Radio(kinds)));
    form.cancel = desk.path("/credentials");
    form
}

fn new_page(desk: &Desk, form: Form) -> Page {
    let mut page = desk.page(SECTION, "New client");
    page.narrow = true;
    page.crumbs = vec![desk.crumb("/credentials", "API credentials")];
    page.blocks.push(Block::Card(Box::new(Card {
        body: CardBody::Form(form),
        ..Card::default()
    })));
    page
}

async fn show(desk: Desk, Path((_, id)): Path<(String, String)>) -> Answer {
    let client = load(&desk, &id).await?;
    Ok(html(StatusCode::OK, &client_page(&desk, &client, None)))
}

async fn load(desk: &Desk, id: &str) -> Result<Client, Trouble> {
    let request = GetClientRequest {
        client_id: id.to_owned(),
    };
    Ok(desk
        .rpc
        .api_clients()
        .get_client(request)
        .await?
        .into_inner()
        .client
        .unwrap_or_default())
}

fn client_page(desk: &Desk, client: &Client, notice: Option<Notice>) -> Page {
    let path = format!("/credentials/{}", client.id);
    let mut page = desk.page(SECTION, name(client));
    page.crumbs = vec![desk.crumb("/credentials", "API credentials")];
    page.blocks.extend(notice.map(Block::Notice));
    let more = Action::post(
        "Create secret",
        desk.path(&format!("{path}/secrets")),
        &desk.csrf,
    );
    page.blocks.push(Block::Card(Box::new(Card {
        title: "Secrets".to_owned(),
        about: "To replace a secret without an interruption: create a second one, give it to your application, then revoke the first.".to_owned(),
        actions: if active(client) < MAX_SECRETS { vec![more.primary()] } else { Vec::new() },
        body: CardBody::Table(Table {
            caption: "Secrets".to_owned(),
            columns: vec!["Secret", "State", "Created", "Last used", ""],
            rows: client.secrets.iter().map(|secret| secrets::row(desk, &path, secret)).collect(),
            empty: Some(Empty {
                icon: Icon::Key,
                title: "No secret yet".to_owned(),
                text: "Create one to let your application call the API.".to_owned(),
                actions: Vec::new(),
            }),
            ..Table::default()
        }),
        ..Card::default()
    })));
    page.blocks.push(Block::Card(Box::new(Card {
        title: "For your application".to_owned(),
        body: CardBody::Copy(overview::variables(desk, &client.id)),
        ..Card::default()
    })));
    page.blocks.push(Block::Card(Box::new(Card {
        title: "Details".to_owned(),
        body: CardBody::Facts(vec![
            Fact::new("Client ID", FactValue::Code(client.id.clone())),
            Fact::text("Type", kind(&client.client_type)),
            Fact::new("Scopes", FactValue::Tags(client.scopes.clone())),
            Fact::new(
                "Created",
                words::time_fact(client.create_time.as_ref(), "–"),
            ),
            Fact::new(
                "Changed",
                words::time_fact(client.update_time.as_ref(), "–"),
            ),
        ]),
        ..Card::default()
    })));
    // The environment's own client stays: every environment has exactly one.
    if client.client_type != "ENV" {
        page.blocks.push(Block::Card(Box::new(Card {
            title: "Delete client".to_owned(),
            about: "Its secrets stop working at once.".to_owned(),
            actions: vec![Action::link("Delete…", desk.path(&format!("{path}/delete"))).danger()],
            danger: true,
            ..Card::default()
        })));
    }
    page
}

async fn ask_delete(desk: Desk, Path((_, id)): Path<(String, String)>) -> Answer {
    let client = load(&desk, &id).await?;
    let mut form = desk.form(&format!("/credentials/{id}/delete"), "Delete client");
    form.danger = true;
    form.cancel = desk.path(&format!("/credentials/{id}"));
    let consequences = [
        "Applications that use it can no longer call the API.",
        "All its secrets are deleted.",
    ];
    let title = format!("Delete the client {}?", name(&client));
    Ok(html(
        StatusCode::OK,
        &desk.confirm(SECTION, title, &consequences, form),
    ))
}

async fn delete(desk: Desk, Path((_, id)): Path<(String, String)>, Posted(sent): Posted) -> Answer {
    if let Some(again) = desk.unconfirmed(&sent, &format!("/credentials/{id}/delete")) {
        return Ok(again);
    }
    desk.rpc
        .api_clients()
        .delete_client(DeleteClientRequest { client_id: id })
        .await?;
    Ok(desk.done("/credentials", "client-deleted"))
}

fn active(client: &Client) -> usize {
    let active = i32::from(ClientSecretStatus::Active);
    client
        .secrets
        .iter()
        .filter(|secret| secret.status == active)
        .count()
}

fn name(client: &Client) -> &str {
    if client.name.is_empty() {
        &client.id
    } else {
        &client.name
    }
}

fn kind(client_type: &str) -> &str {
    match client_type {
        "ENV" => "Environment",
        "WEB_APP" => "Server",
        "SPA" => "Browser app",
        "NTV" => "Native app",
        other => other,
    }
}
