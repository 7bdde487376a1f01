use super::SECTION;
use crate::{
    dashboard::{
        connectors::Names,
        desk::Desk,
        trouble::{Answer, Trouble},
        words,
    },
    render::html,
    view::{Action, Block, Cell, Choice, Empty, Filter, Icon, Pager, Table},
};
use http::StatusCode;
use keystead_proto::v1::connections::{
    ConnectionStatus, ConnectionType, ListAppConnectionsRequest, ListAppConnectionsResponse,
    ListConnection,
};

/// The shortest search the contract accepts.
const MIN_QUERY: usize = 3;

/// The states to filter by, as in the address and in words.
const STATES: [(&str, &str); 3] = [
    ("active", "Active"),
    ("disabled", "Disabled"),
    ("unfinished", "Not finished"),
];

/// How many pages a filter by state reads: the contract lists connections of every state, 30 at a
/// time. More connections than these have to be searched for.
const PAGES_OF_A_STATE: usize = 20;

pub(super) async fn show(desk: Desk) -> Answer {
    let state = desk.query.text("state");
    let found = if STATES.iter().any(|(known, _)| *known == state) {
        of_state(&desk, state).await?
    } else {
        page_of_list(&desk, desk.query.text("page")).await?
    };
    let names = Names::load(&desk).await;
    let filtered = ["q", "connector", "state"]
        .iter()
        .any(|name| desk.query.has(name));
    let new = || Action::link("New connection", desk.path("/connections/new")).primary();
    let mut page = desk.page(SECTION, "Connections");
    page.lead = "A connection says how your application reaches a service. You set it up once; each user then connects an account.".into();
    page.actions = vec![new()];
    let states = STATES
        .iter()
        .map(|(value, word)| Choice::new(value, word, "", state));
    page.blocks.push(Block::Filters {
        action: desk.path("/connections"),
        filters: vec![
            Filter::Search {
                name: "q",
                label: "Search",
                value: desk.query.text("q").to_owned(),
                placeholder: "Name or connector, three letters or more",
            },
            Filter::Select {
                name: "state",
                label: "State",
                choices: std::iter::once(Choice::new("", "All states", "", state))
                    .chain(states)
                    .collect(),
            },
        ],
        active: filtered,
    });
    let empty = if filtered {
        Empty {
            icon: Icon::Search,
            title: "No connection matches".to_owned(),
            text: "Change the filters, or clear them.".to_owned(),
            actions: Vec::new(),
        }
    } else {
        Empty {
            icon: Icon::Plug,
            title: "No connections yet".to_owned(),
            text: "Choose a service, and your users can connect their accounts of it.".to_owned(),
            actions: vec![
                new(),
                // One click for what most agents begin with (AK-103).
                Action::link(
                    "Start with Gmail",
                    desk.path("/connections/new?connector=GMAIL&template=read"),
                ),
            ],
        }
    };
    page.blocks.push(Block::Table(Table {
        caption: "Connections".to_owned(),
        columns: vec!["Connection", "Sign-in", "State", "Created"],
        rows: found
            .connections
            .iter()
            .map(|connection| row(&desk, &names, connection))
            .collect(),
        empty: Some(empty),
        pager: pager(
            &desk,
            &found.prev_page_token,
            &found.next_page_token,
            found.total_size,
        ),
    }));
    Ok(html(StatusCode::OK, &page))
}

async fn page_of_list(desk: &Desk, token: &str) -> Result<ListAppConnectionsResponse, Trouble> {
    let (query, provider) = (desk.query.text("q"), desk.query.text("connector"));
    let request = ListAppConnectionsRequest {
        page_size: 30,
        page_token: token.to_owned(),
        provider: (!provider.is_empty()).then(|| provider.to_owned()),
        query: (query.chars().count() >= MIN_QUERY).then(|| query.to_owned()),
    };
    let answer = desk.rpc.connections().list_app_connections(request).await?;
    Ok(answer.into_inner())
}

/// All connections of a state, on one page.
async fn of_state(desk: &Desk, state: &str) -> Result<ListAppConnectionsResponse, Trouble> {
    let mut all = Vec::new();
    let mut token = String::new();
    for _ in 0..PAGES_OF_A_STATE {
        let page = page_of_list(desk, &token).await?;
        all.extend(page.connections);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    all.retain(|connection| state_of(connection) == state);
    Ok(ListAppConnectionsResponse {
        total_size: u32::try_from(all.len()).unwrap_or(u32::MAX),
        connections: all,
        ..ListAppConnectionsResponse::default()
    })
}

fn state_of(connection: &ListConnection) -> &'static str {
    let status = ConnectionStatus::try_from(connection.status).unwrap_or_default();
    match (status, connection.enabled) {
        (ConnectionStatus::Completed, true) => "active",
        (ConnectionStatus::Completed, false) => "disabled",
        _ => "unfinished",
    }
}

fn row(desk: &Desk, names: &Names, connection: &ListConnection) -> Vec<Cell> {
    let kind = ConnectionType::try_from(connection.r#type).unwrap_or_default();
    let (tone, state) = words::connection_state(connection.status, connection.enabled);
    let service = names.of(&connection.provider_key);
    let name = if connection.key_id.is_empty() {
        &connection.id
    } else {
        &connection.key_id
    };
    vec![
        words::lead(
            desk.path(&format!("/connections/{}", connection.id)),
            name,
            service,
            service,
        ),
        Cell::Text(words::auth_type(kind.as_str_name()).to_owned()),
        Cell::Badge(tone, state),
        words::time_cell(connection.created_at.as_ref(), "–"),
    ]
}

fn pager(desk: &Desk, previous: &str, next: &str, total: u32) -> Pager {
    let to = |token: &str| {
        if token.is_empty() {
            return String::new();
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for name in ["q", "connector"] {
            if desk.query.has(name) {
                query.append_pair(name, desk.query.text(name));
            }
        }
        query.append_pair("page", token);
        format!("{}?{}", desk.path("/connections"), query.finish())
    };
    let total = if total > 0 {
        words::count(total, "connection", "connections")
    } else {
        String::new()
    };
    Pager {
        previous: to(previous),
        next: to(next),
        total,
    }
}
