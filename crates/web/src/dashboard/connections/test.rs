//! Tests a connection with a real authorization (AK-116).
//!
//! The account it connects is an ordinary one with an identifier of its own, so that what is tested
//! is what users get. It can be looked at and deleted like any other.

use super::{SECTION, detail, find, name};
use crate::{
    csrf::Posted,
    dashboard::{
        desk::Desk,
        trouble::{Answer, Trouble},
    },
    failure::Failure,
    form_data::FormData,
    render::{html, redirect},
    view::{Block, Card, CardBody, Field, Form, HandOff, Kind, Notice, Page, Tone},
};
use axum::extract::Path;
use http::StatusCode;
use keystead_proto::{extensions::TestConnectionRequest, v1::connections::Connection};

pub(super) async fn ask(desk: Desk, Path((_, id)): Path<(String, String)>) -> Answer {
    let connection = find(&desk, &id).await?;
    let form = form(&desk, &connection, &FormData::default());
    Ok(html(StatusCode::OK, &page(&desk, &connection, form)))
}

pub(super) async fn start(
    desk: Desk,
    Path((_, id)): Path<(String, String)>,
    Posted(sent): Posted,
) -> Answer {
    let connection = find(&desk, &id).await?;
    let request = TestConnectionRequest {
        connection_id: connection.id.clone(),
        identifier: sent.text("identifier").to_owned(),
    };
    let mut tests = desk.rpc.connection_extensions();
    match tests.test_connection(request).await {
        Ok(answer) => {
            let link = answer.into_inner().link;
            if link.is_empty() {
                let to = desk.path(&format!("/connections/{}", connection.id));
                return Ok(redirect(StatusCode::SEE_OTHER, &to));
            }
            let to = link.parse().map_err(|_| Failure::Internal(String::new()))?;
            Ok(html(
                StatusCode::OK,
                &HandOff {
                    to,
                    name: name(&connection),
                },
            ))
        }
        Err(status) => {
            let mut form = form(&desk, &connection, &sent);
            Trouble::from(status).blame(&mut form)?;
            Ok(html(
                StatusCode::UNPROCESSABLE_ENTITY,
                &page(&desk, &connection, form),
            ))
        }
    }
}

fn form(desk: &Desk, connection: &Connection, sent: &FormData) -> Form {
    let suggested = format!("test-{}", desk.member.email);
    let identifier = if sent.has("identifier") {
        sent.text("identifier")
    } else {
        &suggested
    };
    let mut form = desk.form(&format!("/connections/{}/test", connection.id), "Start the test").field(
        Field::new("identifier", "Name of the test account", Kind::Mono)
            .required()
            .max(100)
            .hint("The account appears among the connected accounts. Delete it there when you are done. The page of the connection shows the result.")
            .value(identifier),
    );
    form.cancel = desk.path(&format!("/connections/{}", connection.id));
    form
}

fn page(desk: &Desk, connection: &Connection, form: Form) -> Page {
    let called = name(connection);
    let mut page = desk.page(SECTION, format!("Test {called}"));
    page.narrow = true;
    page.lead = "You connect an account as one of your users would, with the real service.".into();
    page.crumbs = vec![
        desk.crumb("/connections", "Connections"),
        desk.crumb(&format!("/connections/{}", connection.id), &called),
    ];
    let missing = detail::missing(connection);
    if !missing.is_empty() {
        page.blocks.push(Block::Notice(Notice {
            points: missing,
            ..Notice::new(
                Tone::Warn,
                "The test will fail",
                "These settings are still empty:",
            )
        }));
    } else if !connection.enabled {
        page.blocks.push(Block::Notice(Notice::new(
            Tone::Warn,
            "The connection is disabled",
            "Enable it first: a disabled connection makes no links.",
        )));
    }
    page.blocks.push(Block::Card(Box::new(Card {
        body: CardBody::Form(form),
        ..Card::default()
    })));
    page
}
