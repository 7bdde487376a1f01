use super::SECTION;
use crate::{
    csrf::Posted,
    dashboard::{
        desk::Desk,
        trouble::{Answer, Trouble},
        words,
    },
    form_data::FormData,
    render::html,
    view::{
        Action, Block, Card, CardBody, Choice, Empty, Field, Form, Icon, Kind, Notice, Page, Tone,
    },
};
use http::StatusCode;
use keystead_proto::v1::{
    connected_accounts::{
        GetMagicLinkForConnectedAccountRequest, GetMagicLinkForConnectedAccountResponse,
    },
    connections::ListAppConnectionsRequest,
};
use prost_types::Timestamp;

pub(super) async fn ask(desk: Desk) -> Answer {
    let names = connections(&desk).await?;
    let mut page = page(&desk);
    if names.is_empty() {
        page.blocks.push(Block::Empty(Empty {
            icon: Icon::Plug,
            title: "No connection is ready".to_owned(),
            text: "Accounts are connected through a connection. Create and enable one first."
                .to_owned(),
            actions: vec![Action::link("New connection", desk.path("/connections/new")).primary()],
        }));
    } else {
        let form = form(&desk, &names, &desk.query);
        page.blocks.push(Block::Card(Box::new(Card {
            body: CardBody::Form(form),
            ..Card::default()
        })));
    }
    Ok(html(StatusCode::OK, &page))
}

/// Makes the link; the account is created with it when there is none (AK-300).
pub(super) async fn create(desk: Desk, Posted(sent): Posted) -> Answer {
    let given = |name: &str| sent.has(name).then(|| sent.text(name).to_owned());
    let request = GetMagicLinkForConnectedAccountRequest {
        connector: given("connection"),
        identifier: given("identifier"),
        organization_id: given("organization_id"),
        user_id: given("user_id"),
        user_verify_url: given("user_verify_url"),
        ..Default::default()
    };
    let mut page = page(&desk);
    match desk
        .rpc
        .accounts()
        .get_magic_link_for_connected_account(request)
        .await
    {
        Ok(answer) => {
            page.blocks
                .push(Block::Notice(user_notice(&answer.into_inner())));
            page.actions = vec![Action::link("All accounts", desk.path("/accounts"))];
            Ok(html(StatusCode::OK, &page))
        }
        Err(status) => {
            let names = connections(&desk).await?;
            let mut form = form(&desk, &names, &sent);
            Trouble::from(status).blame(&mut form)?;
            page.blocks.push(Block::Card(Box::new(Card {
                body: CardBody::Form(form),
                ..Card::default()
            })));
            Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
    }
}

/// The link to send. It is in the answer to a POST and not kept in any address of ours.
pub(in crate::dashboard) fn link_notice(
    link: &str,
    expiry: Option<&Timestamp>,
    title: &str,
    warning: &str,
) -> Notice {
    let until = match words::time_fact(expiry, "") {
        crate::view::FactValue::Time { text, .. } if !text.is_empty() => format!(", until {text}"),
        _ => String::new(),
    };
    Notice {
        copy: link.to_owned(),
        toast: true,
        ..Notice::new(
            Tone::Good,
            title,
            format!("{warning} It works once{until}."),
        )
    }
}

/// The link for one user.
pub(super) fn user_notice(answer: &GetMagicLinkForConnectedAccountResponse) -> Notice {
    link_notice(
        &answer.link,
        answer.expiry.as_ref(),
        "Send this link to the user",
        "Only to them: whoever opens it connects an account in their name.",
    )
}

/// Names of the connections that are enabled.
async fn connections(desk: &Desk) -> Result<Vec<String>, Trouble> {
    let request = ListAppConnectionsRequest {
        page_size: 30,
        ..Default::default()
    };
    let found = desk
        .rpc
        .connections()
        .list_app_connections(request)
        .await?
        .into_inner()
        .connections;
    let mut names: Vec<String> = found
        .into_iter()
        .filter(|c| c.enabled)
        .map(|c| c.key_id)
        .collect();
    let wanted = desk.query.text("connection");
    if !wanted.is_empty() && !names.iter().any(|name| name == wanted) {
        names.push(wanted.to_owned());
    }
    Ok(names)
}

fn form(desk: &Desk, names: &[String], values: &FormData) -> Form {
    let current = values.text("connection");
    let choices = names
        .iter()
        .map(|name| Choice::new(name, name, "", current))
        .collect();
    let mut form = desk
        .form("/accounts", "Create link")
        .field(Field::new("connection", "Connection", Kind::Select(choices)).required())
        .field(
            Field::new("identifier", "User", Kind::Text)
                .required()
                .max(100)
                .hint("How your application names the user: an id, an e-mail address. Upper and lower case matter.")
                .value(values.text("identifier")),
        )
        .more("More", "Only when your application uses them.")
        .field(Field::new("organization_id", "Organization ID", Kind::Mono).max(32).value(values.text("organization_id")))
        .field(Field::new("user_id", "User ID", Kind::Mono).max(32).value(values.text("user_id")))
        .field(
            Field::new("user_verify_url", "Verification address", Kind::Mono)
                .max(2_048)
                .hint("Where your application confirms the user after the consent.")
                .value(values.text("user_verify_url")),
        );
    form.cancel = desk.path("/accounts");
    form
}

fn page(desk: &Desk) -> Page {
    let mut page = desk.page(SECTION, "Connect an account");
    page.narrow = true;
    page.lead = "You get a link. The user opens it and connects the account.".into();
    page.crumbs = vec![desk.crumb("/accounts", "Connected accounts")];
    page
}
