//! What to look at before real users come: live checks of the environment (AK-803, DB-115).

use super::{
    connectors,
    desk::Desk,
    overview::{card, hidden},
    trouble::{Answer, Trouble},
    verification, words,
};
use crate::{
    render::html,
    view::{Action, Block, CardBody, Notice, Step, Tone},
};
use http::StatusCode;
use keystead_proto::v1::{
    clients::ListClientsRequest,
    connections::{ConnectionStatus, ListAppConnectionsRequest, ListConnection},
    environments::{ConnectedAccountUserVerifyMode as Mode, CustomDomainStatus},
};
use tonic::Status;

pub(super) async fn show(desk: Desk) -> Answer {
    let mut steps = vec![environment(&desk)];
    if let Some(connections) = visible(connections(&desk).await)? {
        steps.push(active(&desk, &connections));
        steps.push(direct_calls(&desk, &connections).await?);
    }
    if let Ok(config) = verification::load(&desk).await {
        let mode = config.unwrap_or_default().user_verify_mode;
        steps.push(step(
            &desk,
            "Your application verifies its users",
            "Only your application knows who is signed in. Without its check, whoever opens a link connects an account in another's name.",
            mode == i32::from(Mode::UserVerifyModeB2b),
            ("Set it up", "/verification"),
        ));
    }
    if let Some(has_secret) = visible(has_secret(&desk).await)? {
        steps.push(step(
            &desk,
            "Your application has credentials of this environment",
            "Those of other environments do not work here.",
            has_secret,
            ("Open credentials", "/credentials"),
        ));
    }
    steps.push(domain(&desk));

    let mut page = desk.page("launch", "Launch checklist");
    page.lead =
        "What to look at before real users come. It is checked each time you open the page.".into();
    let open = steps.iter().filter(|step| !step.done).count();
    if open == 0 {
        page.blocks.push(Block::Notice(Notice::new(
            Tone::Good,
            "Ready for your users",
            "",
        )));
    }
    let about = words::count(open as u64, "thing is open.", "things are open.");
    page.blocks
        .push(card("Before you launch", &about, CardBody::Steps(steps)));
    Ok(html(StatusCode::OK, &page))
}

/// `None` for what the member may not see: the list is for every role.
fn visible<T>(answer: Result<T, Status>) -> Result<Option<T>, Trouble> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(status) if hidden(&status) => Ok(None),
        Err(status) => Err(status.into()),
    }
}

fn step(
    desk: &Desk,
    title: &'static str,
    about: impl Into<String>,
    done: bool,
    (label, path): (&str, &str),
) -> Step {
    Step {
        title,
        about: about.into(),
        done,
        action: Action::link(label, desk.path(path)).small(),
    }
}

fn environment(desk: &Desk) -> Step {
    Step {
        title: "This is a production environment",
        about: "Development environments have looser rules and are meant for trying things out."
            .to_owned(),
        done: desk.is_production(),
        action: Action::link("All environments", "/dashboard/environments").small(),
    }
}

async fn connections(desk: &Desk) -> Result<Vec<ListConnection>, Status> {
    let request = ListAppConnectionsRequest {
        page_size: 30,
        ..Default::default()
    };
    let found = desk.rpc.connections().list_app_connections(request).await?;
    Ok(found.into_inner().connections)
}

fn is_active(connection: &ListConnection) -> bool {
    connection.enabled && connection.status == i32::from(ConnectionStatus::Completed)
}

fn active(desk: &Desk, connections: &[ListConnection]) -> Step {
    let waiting: Vec<&str> = connections
        .iter()
        .filter(|connection| !is_active(connection))
        .map(|connection| connection.key_id.as_str())
        .collect();
    let about = match (connections.is_empty(), waiting.is_empty()) {
        (true, _) => "There is none yet.".to_owned(),
        (false, true) => {
            let names: Vec<&str> = connections.iter().map(|c| c.key_id.as_str()).collect();
            format!(
                "All can be used. Compare their names with your code, letter by letter: {}.",
                listed(&names)
            )
        }
        (false, false) => format!("Not finished or disabled: {}.", listed(&waiting)),
    };
    step(
        desk,
        "Connections are active",
        about,
        !connections.is_empty() && waiting.is_empty(),
        ("Open connections", "/connections"),
    )
}

/// The first few names: a paragraph of thirty is not read, and the page it leads to has them all.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let first: Vec<&str> = names.iter().take(SHOWN).copied().collect();
    match names.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

async fn direct_calls(desk: &Desk, connections: &[ListConnection]) -> Result<Step, Trouble> {
    let known = connectors::list_all(desk).await?;
    let off: Vec<&str> = known
        .iter()
        .map(|connector| &connector.provider)
        .filter(|provider| !provider.proxy_enabled)
        .filter(|provider| {
            connections
                .iter()
                .any(|connection| connection.provider_key == provider.identifier)
        })
        .map(|provider| provider.display_name.as_str())
        .collect();
    let about = if off.is_empty() {
        "Your agents can call the services.".to_owned()
    } else {
        format!("Switched off for: {}.", listed(&off))
    };
    Ok(step(
        desk,
        "Direct calls are allowed",
        about,
        off.is_empty(),
        ("Open connectors", "/connectors"),
    ))
}

async fn has_secret(desk: &Desk) -> Result<bool, Status> {
    let request = ListClientsRequest {
        page_size: 30,
        ..Default::default()
    };
    let found = desk.rpc.api_clients().list_client(request).await?;
    let clients = found.into_inner().clients;
    Ok(clients.iter().any(|client| !client.secrets.is_empty()))
}

fn domain(desk: &Desk) -> Step {
    let own = desk.environment.custom_domain();
    let verified = desk.environment.custom_domain_status == i32::from(CustomDomainStatus::Active);
    let about = if own.is_empty() {
        "Users see the address when they connect an account. A domain of your own tells them that it is you.".to_owned()
    } else {
        format!("{own} is set.")
    };
    Step {
        title: "A domain of your own is verified",
        about,
        done: verified && !own.is_empty(),
        action: Action::link("All environments", "/dashboard/environments").small(),
    }
}
