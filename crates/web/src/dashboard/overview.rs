//! The first page of an environment: how far its set-up is, and what to copy into an application.

use super::{desk::Desk, trouble::Answer};
use crate::{
    render::html,
    view::{Action, Block, Card, CardBody, Stat, Step},
};
use http::StatusCode;
use keystead_proto::v1::{
    clients::ListClientsRequest, connected_accounts::ListConnectedAccountsRequest,
    connections::ListAppConnectionsRequest,
};
use tonic::{Code, Response, Status};

pub(super) async fn show(desk: Desk) -> Answer {
    let request = ListAppConnectionsRequest {
        page_size: 1,
        ..Default::default()
    };
    let connections = total(
        desk.rpc.connections().list_app_connections(request).await,
        |page| page.total_size,
    )?;
    let request = ListConnectedAccountsRequest {
        page_size: 1,
        ..Default::default()
    };
    let accounts = total(
        desk.rpc.accounts().list_connected_accounts(request).await,
        |page| page.total_size,
    )?;
    let request = ListClientsRequest {
        page_size: 30,
        ..Default::default()
    };
    let clients = desk.rpc.api_clients().list_client(request).await;
    let clients = match clients {
        Ok(page) => page.into_inner().clients,
        Err(status) if hidden(&status) => Vec::new(),
        Err(status) => return Err(status.into()),
    };
    let client = clients
        .iter()
        .find(|client| client.client_type == "ENV")
        .or(clients.first());
    let has_secret = clients.iter().any(|client| !client.secrets.is_empty());

    let mut page = desk.page("overview", "Overview");
    page.lead = "Let your agents act for your users in the services they use, without ever seeing a credential.".into();
    let number =
        |count: Option<u32>| count.map_or_else(|| "–".to_owned(), |count| count.to_string());
    page.blocks.push(Block::Stats(vec![
        Stat {
            href: desk.path("/connections"),
            number: number(connections),
            what: "Connections",
        },
        Stat {
            href: desk.path("/accounts"),
            number: number(accounts),
            what: "Connected accounts",
        },
    ]));
    let step = |title, about: &str, done, label: &str, path: &str| Step {
        title,
        about: about.to_owned(),
        done,
        action: Action::link(label, desk.path(path)).small(),
    };
    let some = |count: Option<u32>| count.is_some_and(|count| count > 0);
    let ready = some(connections) && has_secret && some(accounts);
    if ready {
        page.actions
            .push(Action::link("Launch checklist", desk.path("/launch")));
    }
    page.blocks.push(card(
        "Get started",
        "Three steps to the first call.",
        CardBody::Steps(vec![
            step(
                "Create a connection",
                "Choose a service and say how users sign in to it.",
                some(connections),
                "Choose a service",
                "/connections/new",
            ),
            step(
                "Create API credentials",
                "Your application proves who it is with a client and a secret.",
                has_secret,
                "Open credentials",
                "/credentials",
            ),
            step(
                "Connect an account",
                "Send a user a link, or make one for yourself to try it.",
                some(accounts),
                "Create a link",
                "/accounts/new",
            ),
        ]),
    ));
    page.blocks.push(card(
        "For your application",
        "Copy these lines into its environment. The secret is shown only when you create it.",
        CardBody::Copy(variables(&desk, client.map_or("", |client| &client.id))),
    ));
    Ok(html(StatusCode::OK, &page))
}

/// The variables the client libraries read.
pub(super) fn variables(desk: &Desk, client: &str) -> String {
    let client = if client.is_empty() { "…" } else { client };
    let url = desk.environment_url();
    format!("SCALEKIT_ENVIRONMENT_URL={url}\nSCALEKIT_CLIENT_ID={client}\nSCALEKIT_CLIENT_SECRET=…")
}

pub(super) fn card(title: &str, about: &str, body: CardBody) -> Block {
    Block::Card(Box::new(Card {
        title: title.to_owned(),
        about: about.to_owned(),
        body,
        ..Card::default()
    }))
}

/// The number, or `None` when the member may not see it: the overview is for every role.
fn total<T>(
    answer: Result<Response<T>, Status>,
    size: impl Fn(&T) -> u32,
) -> Result<Option<u32>, Status> {
    match answer {
        Ok(page) => Ok(Some(size(page.get_ref()))),
        Err(status) if hidden(&status) => Ok(None),
        Err(status) => Err(status),
    }
}

/// Whether the member may not see it, or the server does not have it.
pub(super) fn hidden(status: &Status) -> bool {
    matches!(status.code(), Code::PermissionDenied | Code::Unimplemented)
}
