use super::SECTION;
use crate::{
    dashboard::{desk::Desk, trouble::Answer, words},
    render::html,
    view::{Action, Block, Cell, Empty, Filter, Icon, Pager, Table},
};
use http::StatusCode;
use keystead_proto::v1::connections::{ConnectionType, ListAppConnectionsRequest, ListConnection};

/// The shortest search the contract accepts.
const MIN_QUERY: usize = 3;

pub(super) async fn show(desk: Desk) -> Answer {
    let (query, provider) = (desk.query.text("q"), desk.query.text("connector"));
    let request = ListAppConnectionsRequest {
        page_size: 30,
        page_token: desk.query.text("page").to_owned(),
        provider: (!provider.is_empty()).then(|| provider.to_owned()),
        query: (query.chars().count() >= MIN_QUERY).then(|| query.to_owned()),
    };
    let found = desk
        .rpc
        .connections()
        .list_app_connections(request)
        .await?
        .into_inner();
    let filtered = desk.query.has("q") || desk.query.has("connector");
    let new = || Action::link("New connection", desk.path("/connections/new")).primary();
    let mut page = desk.page(SECTION, "Connections");
    page.lead = "A connection says how your application reaches a service. You set it up once; each user then connects an account.".into();
    page.actions = vec![new()];
    page.blocks.push(Block::Filters {
        action: desk.path("/connections"),
        filters: vec![Filter::Search {
            name: "q",
            label: "Search",
            value: query.to_owned(),
            placeholder: "Name or connector, three letters or more",
        }],
        active: filtered,
    });
    let empty = if filtered {
        Empty {
            icon: Icon::Search,
            title: "No connection matches".to_owned(),
            text: "Try other words, or clear the search.".to_owned(),
            actions: Vec::new(),
        }
    } else {
        Empty {
            icon: Icon::Plug,
            title: "No connections yet".to_owned(),
            text: "Choose a service, and your users can connect their accounts of it.".to_owned(),
            actions: vec![new()],
        }
    };
    page.blocks.push(Block::Table(Table {
        caption: "Connections".to_owned(),
        columns: vec!["Connection", "Sign-in", "State", "Created"],
        rows: found
            .connections
            .iter()
            .map(|connection| row(&desk, connection))
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

fn row(desk: &Desk, connection: &ListConnection) -> Vec<Cell> {
    let kind = ConnectionType::try_from(connection.r#type).unwrap_or_default();
    let (tone, state) = words::connection_state(connection.status, connection.enabled);
    let name = if connection.key_id.is_empty() {
        &connection.id
    } else {
        &connection.key_id
    };
    vec![
        words::lead(
            desk.path(&format!("/connections/{}", connection.id)),
            name,
            &connection.provider_key,
            &connection.provider_key,
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
