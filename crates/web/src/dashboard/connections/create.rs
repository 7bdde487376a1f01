use super::SECTION;
use crate::{
    csrf::Posted,
    dashboard::{
        connectors::{self, Connector},
        desk::Desk,
        trouble::{Answer, Trouble},
        words,
    },
    form_data::FormData,
    render::html,
    view::{Block, Card, CardBody, Choice, Field, Form, Kind, Monogram, Page},
};
use http::StatusCode;
use keystead_proto::v1::connections::{
    ConnectionAuthMode, ConnectionProvider, ConnectionType, CreateConnection,
    CreateEnvironmentConnectionRequest, Flags,
};

/// First the service, then the form.
pub(super) async fn ask(desk: Desk) -> Answer {
    let identifier = desk.query.text("connector").to_owned();
    if identifier.is_empty() {
        return choose(&desk).await;
    }
    let connector = connectors::find(&desk, &identifier).await?;
    let form = form(&desk, &connector, &FormData::default());
    Ok(html(StatusCode::OK, &page(&desk, &connector, form)))
}

async fn choose(desk: &Desk) -> Answer {
    let connectors: Vec<Connector> = connectors::list_all(desk)
        .await?
        .into_iter()
        .filter(|c| !c.provider.coming_soon)
        .collect();
    let (filters, catalogue) = connectors::grid(&connectors, &desk.query, |connector| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("connector", &connector.provider.identifier)
            .finish();
        format!("{}?{query}", desk.path("/connections/new"))
    });
    let mut page = desk.page(SECTION, "Which service?");
    page.lead = "Choose the service your users connect.".into();
    page.crumbs = vec![desk.crumb("/connections", "Connections")];
    let active = ["q", "category", "auth"]
        .iter()
        .any(|name| desk.query.has(name));
    page.blocks.push(Block::Filters {
        action: desk.path("/connections/new"),
        filters,
        active,
    });
    page.blocks.push(Block::Catalogue(catalogue));
    Ok(html(StatusCode::OK, &page))
}

pub(super) async fn create(desk: Desk, Posted(sent): Posted) -> Answer {
    let identifier = sent.text("connector").to_owned();
    let kind = ConnectionType::from_str_name(sent.text("type")).unwrap_or_default();
    let mode = if sent.text("auth_mode") == "ORG_WIDE" {
        ConnectionAuthMode::OrgWide
    } else {
        ConnectionAuthMode::User
    };
    let connection = CreateConnection {
        provider: ConnectionProvider::Custom.into(),
        r#type: kind.into(),
        provider_key: identifier.clone(),
        key_id: sent.has("key_id").then(|| sent.text("key_id").to_owned()),
        context: None,
        auth_mode: mode.into(),
    };
    let request = CreateEnvironmentConnectionRequest {
        connection: Some(connection),
        flags: Some(Flags {
            is_login: false,
            is_app: true,
        }),
    };
    match desk
        .rpc
        .connections()
        .create_environment_connection(request)
        .await
    {
        Ok(answer) => {
            let id = answer.into_inner().connection.unwrap_or_default().id;
            Ok(desk.done(&format!("/connections/{id}"), "connection-created"))
        }
        Err(status) => {
            let connector = connectors::find(&desk, &identifier).await?;
            let mut form = form(&desk, &connector, &sent);
            Trouble::from(status).blame(&mut form)?;
            Ok(html(
                StatusCode::UNPROCESSABLE_ENTITY,
                &page(&desk, &connector, form),
            ))
        }
    }
}

fn form(desk: &Desk, connector: &Connector, sent: &FormData) -> Form {
    let mut form = desk
        .form("/connections", "Create connection")
        .hidden("connector", &connector.provider.identifier);
    form.cancel = desk.path("/connections/new");
    form = form.field(
        Field::new("key_id", "Name", Kind::Mono)
            .max(300)
            .hint("Your code uses this name. Leave it empty and we choose one. Changing it later means changing your code.")
            .value(sent.text("key_id")),
    );
    let types = connector.auth_types();
    form = match types.as_slice() {
        [only] => form.hidden("type", only),
        several => {
            let first = several.first().copied().unwrap_or_default();
            let chosen = if sent.has("type") {
                sent.text("type")
            } else {
                first
            };
            let kinds = several
                .iter()
                .map(|kind| Choice::new(kind, words::auth_type(kind), "", chosen));
            form.field(Field::new(
                "type",
                "How accounts sign in",
                Kind::Radio(kinds.collect()),
            ))
        }
    };
    let mode = if sent.has("auth_mode") {
        sent.text("auth_mode")
    } else {
        "USER"
    };
    form.field(Field::new(
        "auth_mode",
        "Whose account is used",
        Kind::Radio(vec![
            Choice::new(
                "USER",
                "Each user's own",
                "Every user connects an account.",
                mode,
            ),
            Choice::new(
                "ORG_WIDE",
                "One for everybody",
                "You connect one account. Users only agree that it may act for them.",
                mode,
            ),
        ]),
    ))
}

fn page(desk: &Desk, connector: &Connector, form: Form) -> Page {
    let mut page = desk.page(
        SECTION,
        format!("Connect {}", connector.provider.display_name),
    );
    page.narrow = true;
    page.tile = Some(Monogram::of(&connector.provider.display_name));
    page.lead = format!("Signs in with: {}.", connector.how());
    page.crumbs = vec![
        desk.crumb("/connections", "Connections"),
        desk.crumb("/connections/new", "New"),
    ];
    page.blocks.push(Block::Card(Box::new(Card {
        body: CardBody::Form(form),
        ..Card::default()
    })));
    page
}
