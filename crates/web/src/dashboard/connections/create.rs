use super::{SECTION, settings, templates};
use crate::{
    csrf::Posted,
    dashboard::{
        connectors::{self, Connector},
        desk::Desk,
        rpc::from_form,
        trouble::{Answer, Trouble},
        words,
    },
    form_data::FormData,
    render::html,
    view::{Block, Card, CardBody, Choice, Field, Form, Kind, Monogram, Page},
};
use http::StatusCode;
use keystead_proto::v1::connections::{
    Connection, ConnectionAuthMode, ConnectionProvider, ConnectionType, CreateConnection,
    CreateEnvironmentConnectionRequest, Flags, OAuthConnectionConfig, UpdateConnection,
    UpdateEnvironmentConnectionRequest, update_connection,
};
use tonic::Status;

/// First the service, then the form.
pub(super) async fn ask(desk: Desk) -> Answer {
    let identifier = desk.query.text("connector").to_owned();
    if identifier.is_empty() {
        return choose(&desk).await;
    }
    let connector = connectors::find(&desk, &identifier).await?;
    // A link may name a template.
    let form = form(&desk, &connector, &desk.query);
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
            let made = answer.into_inner().connection.unwrap_or_default();
            let path = format!("/connections/{}", made.id);
            let applied = match templates::find(&identifier, sent.text("template")) {
                Some(template) => apply(&desk, &made, template).await,
                None => Ok(()),
            };
            // The connection is there all the same; its page has what the template would have set.
            Ok(desk.done(
                &path,
                if applied.is_ok() {
                    "connection-created"
                } else {
                    "connection-created-plain"
                },
            ))
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

/// Sets what a template says.
async fn apply(
    desk: &Desk,
    made: &Connection,
    template: &templates::Template,
) -> Result<(), Status> {
    let config = OAuthConnectionConfig {
        scopes: template.scopes.clone(),
        ..Default::default()
    };
    let update = UpdateConnection {
        provider: made.provider,
        r#type: made.r#type,
        provider_key: made.provider_key.clone(),
        settings: Some(update_connection::Settings::OauthConfig(config)),
        ..Default::default()
    };
    let request = UpdateEnvironmentConnectionRequest {
        connection_id: made.id.clone(),
        connection: Some(update),
    };
    let request = from_form(request, settings::LISTS);
    let mut connections = desk.rpc.connections();
    connections.update_environment_connection(request).await?;
    Ok(())
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
    let presets = templates::field(&connector.provider.identifier, sent.text("template"));
    if let (Some(field), true) = (presets, types.contains(&"OAUTH")) {
        form = form.field(field);
    }
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
