//! Environments: choosing, listing, creating (DB-020 to DB-022).

use super::{
    desk::{Desk, production},
    trouble::{Answer, Trouble},
    words,
};
use crate::{
    csrf::Posted,
    form_data::FormData,
    render::{html, redirect},
    view::{Block, Card, CardBody, Cell, Choice, Field, Form, Kind, Table, Tone},
};
use http::StatusCode;
use keystead_proto::v1::{
    commons::EnvironmentType,
    environments::{CreateEnvironment, CreateEnvironmentRequest},
};

/// Leads to the first environment.
pub(super) async fn choose(desk: Desk) -> Answer {
    let to = desk
        .environments
        .first()
        .map(|environment| format!("/dashboard/{}", environment.id));
    Ok(redirect(
        StatusCode::SEE_OTHER,
        &to.unwrap_or_else(|| "/dashboard/environments".to_owned()),
    ))
}

pub(super) async fn list(desk: Desk) -> Answer {
    let form = form(&desk, &FormData::default());
    Ok(html(StatusCode::OK, &page(&desk, form)))
}

pub(super) async fn create(desk: Desk, Posted(sent): Posted) -> Answer {
    let kind = if sent.text("type") == "PRD" {
        EnvironmentType::Prd
    } else {
        EnvironmentType::Dev
    };
    let environment = CreateEnvironment {
        display_name: sent.text("display_name").to_owned(),
        r#type: Some(kind.into()),
        ..Default::default()
    };
    let request = CreateEnvironmentRequest {
        environment: Some(environment),
    };
    match desk.rpc.environments().create_environment(request).await {
        Ok(_) => Ok(redirect(
            StatusCode::SEE_OTHER,
            "/dashboard/environments?done=environment-created",
        )),
        Err(status) => {
            let mut form = form(&desk, &sent);
            Trouble::from(status).blame(&mut form)?;
            Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &page(&desk, form)))
        }
    }
}

fn form(desk: &Desk, sent: &FormData) -> Form {
    let chosen = if sent.text("type") == "PRD" {
        "PRD"
    } else {
        "DEV"
    };
    let kinds = vec![
        Choice::new(
            "DEV",
            "Development",
            "For building and testing. Looser rules, such as http on localhost.",
            chosen,
        ),
        Choice::new("PRD", "Production", "For real users. Strict rules.", chosen),
    ];
    Form {
        action: "/dashboard/environments".to_owned(),
        csrf: desk.csrf.clone(),
        submit: "Create environment".to_owned(),
        ..Form::default()
    }
    .field(
        Field::new("display_name", "Name", Kind::Text)
            .required()
            .max(200)
            .value(sent.text("display_name")),
    )
    .field(Field::new("type", "Used for", Kind::Radio(kinds)))
}

fn page(desk: &Desk, form: Form) -> crate::view::Page {
    let mut page = desk.page("environments", "Environments");
    page.lead = "Each environment has its own address, credentials, connections and users.".into();
    let rows = desk.environments.iter().map(|environment| {
        let (tone, kind) = if production(environment) {
            (Tone::Warn, "Production")
        } else {
            (Tone::Info, "Development")
        };
        vec![
            words::lead(
                format!("/dashboard/{}", environment.id),
                &environment.display_name,
                &environment.id,
                &environment.display_name,
            ),
            Cell::Badge(tone, kind.to_owned()),
            Cell::Code(environment.domain.clone()),
            words::time_cell(environment.create_time.as_ref(), "–"),
        ]
    });
    page.blocks.push(Block::Table(Table {
        caption: "Environments".to_owned(),
        columns: vec!["Name", "Used for", "Address", "Created"],
        rows: rows.collect(),
        ..Table::default()
    }));
    page.blocks.push(Block::Card(Box::new(Card {
        title: "New environment".to_owned(),
        body: CardBody::Form(form),
        ..Card::default()
    })));
    page
}
