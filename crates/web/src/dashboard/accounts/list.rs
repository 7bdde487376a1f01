use super::SECTION;
use crate::{
    dashboard::{connectors::Names, desk::Desk, trouble::Answer, words},
    render::html,
    view::{Action, Block, Cell, Choice, Empty, Filter, Icon, Pager, Table},
};
use http::StatusCode;
use keystead_proto::v1::{
    connected_accounts::{ConnectedAccountForList, ConnectorStatus, ListConnectedAccountsRequest},
    connections::ListAppConnectionsRequest,
};

const FILTERS: [&str; 6] = [
    "q",
    "connection",
    "status",
    "identifier",
    "organization_id",
    "user_id",
];

pub(super) async fn show(desk: Desk) -> Answer {
    let given = |name: &str| {
        desk.query
            .has(name)
            .then(|| desk.query.text(name).to_owned())
    };
    let request = ListConnectedAccountsRequest {
        connector: given("connection"),
        identifier: given("identifier"),
        status: status(&desk).into(),
        organization_id: given("organization_id"),
        user_id: given("user_id"),
        query: desk.query.text("q").to_owned(),
        page_size: 30,
        page_token: desk.query.text("page").to_owned(),
        ..Default::default()
    };
    let found = desk
        .rpc
        .accounts()
        .list_connected_accounts(request)
        .await?
        .into_inner();
    let names = Names::load(&desk).await;
    let filtered = FILTERS.iter().any(|name| desk.query.has(name));
    let add = || Action::link("Connect an account", desk.path("/accounts/new")).primary();
    let mut page = desk.page(SECTION, "Connected accounts");
    page.lead = "Each is one user's account at one service. The credential is stored encrypted; agents use it without seeing it.".into();
    page.actions = vec![add()];
    page.blocks.push(Block::Filters {
        action: desk.path("/accounts"),
        filters: filters(&desk).await,
        active: filtered,
    });
    let empty = if filtered {
        Empty {
            icon: Icon::Search,
            title: "No account matches".to_owned(),
            text: "Change the filters, or clear them.".to_owned(),
            actions: Vec::new(),
        }
    } else {
        Empty {
            icon: Icon::People,
            title: "No accounts yet".to_owned(),
            text: "An account appears when your application makes a link for a user, or when you make one here.".to_owned(),
            actions: vec![add()],
        }
    };
    page.blocks.push(Block::Table(Table {
        caption: "Connected accounts".to_owned(),
        columns: vec!["User", "Connection", "State", "Token expires", "Last used"],
        rows: found
            .connected_accounts
            .iter()
            .map(|account| row(&desk, &names, account))
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

/// The state to filter by; a word that is none means any.
fn status(desk: &Desk) -> ConnectorStatus {
    ConnectorStatus::from_str_name(desk.query.text("status")).unwrap_or_default()
}

/// The connections to filter by: those of the first page of their list, and the one in use.
async fn filters(desk: &Desk) -> Vec<Filter> {
    let current = desk.query.text("connection");
    let request = ListAppConnectionsRequest {
        page_size: 30,
        ..Default::default()
    };
    let known = desk.rpc.connections().list_app_connections(request).await;
    // A member who may not see connections can still filter by the other fields.
    let mut names: Vec<String> = known
        .map(|known| known.into_inner().connections)
        .unwrap_or_default()
        .into_iter()
        .map(|c| c.key_id)
        .collect();
    if !current.is_empty() && !names.iter().any(|name| name == current) {
        names.push(current.to_owned());
    }
    let choices = names
        .iter()
        .map(|name| Choice::new(name, name, "", current));
    let chosen = status(desk).as_str_name();
    let states = words::ACCOUNT_STATES.map(|state| {
        let (_, word) = words::account_state(state.into());
        Choice::new(state.as_str_name(), &word, "", chosen)
    });
    let text = |name, label, placeholder| Filter::Search {
        name,
        label,
        value: desk.query.text(name).to_owned(),
        placeholder,
    };
    vec![
        text("q", "Search", "User or service"),
        Filter::Select {
            name: "connection",
            label: "Connection",
            choices: std::iter::once(Choice::new("", "All connections", "", current))
                .chain(choices)
                .collect(),
        },
        Filter::Select {
            name: "status",
            label: "State",
            choices: std::iter::once(Choice::new("", "All states", "", chosen))
                .chain(states)
                .collect(),
        },
        text("identifier", "User, exactly", "user_123"),
        text("organization_id", "Organization", "org_…"),
    ]
}

fn row(desk: &Desk, names: &Names, account: &ConnectedAccountForList) -> Vec<Cell> {
    let (tone, state) = words::account_state(account.status);
    let service = names.of(&account.provider);
    let who = if account.is_org_wide_credential {
        "Shared by everybody"
    } else {
        service
    };
    vec![
        words::lead(
            desk.path(&format!("/accounts/{}", account.id)),
            &account.identifier,
            who,
            service,
        ),
        Cell::Text(account.connector.clone()),
        Cell::Badge(tone, state),
        words::time_cell(account.token_expires_at.as_ref(), "–"),
        words::time_cell(account.last_used_at.as_ref(), "Never"),
    ]
}

fn pager(desk: &Desk, previous: &str, next: &str, total: u32) -> Pager {
    let to = |token: &str| {
        if token.is_empty() {
            return String::new();
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for name in FILTERS.into_iter().filter(|name| desk.query.has(name)) {
            query.append_pair(name, desk.query.text(name));
        }
        query.append_pair("page", token);
        format!("{}?{}", desk.path("/accounts"), query.finish())
    };
    let total = if total > 0 {
        words::count(total, "account", "accounts")
    } else {
        String::new()
    };
    Pager {
        previous: to(previous),
        next: to(next),
        total,
    }
}
