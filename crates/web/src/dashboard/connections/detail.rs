use super::{
    SECTION, find,
    health::Health,
    name,
    settings::{self, shown},
};
use crate::{
    dashboard::{
        connectors::{self, Names},
        desk::Desk,
        trouble::{Answer, Trouble},
        words,
    },
    render::html,
    view::{Action, Block, Card, CardBody, Fact, FactValue, Form, Monogram, Notice, Page, Tone},
};
use axum::extract::Path;
use http::StatusCode;
use keystead_proto::v1::{
    connected_accounts::ListConnectedAccountsRequest,
    connections::{Connection, ConnectionAuthMode, ConnectionType},
};

pub(super) async fn show(desk: Desk, Path((_, id)): Path<(String, String)>) -> Answer {
    let connection = find(&desk, &id).await?;
    let form = settings::form(&desk, &connection, None).await?;
    Ok(html(StatusCode::OK, &page(&desk, &connection, form).await?))
}

/// What an OAuth connection still lacks, in words.
pub(super) fn missing(connection: &Connection) -> Vec<String> {
    if !settings::uses_oauth(connection) {
        return Vec::new();
    }
    let config = settings::oauth(connection);
    let platform = settings::uses_platform_app(&config);
    let public = shown(config.token_endpoint_auth_method.as_ref()) == "none";
    let needs = [
        (
            "Client ID",
            platform || !shown(config.client_id.as_ref()).is_empty(),
        ),
        (
            "Client secret",
            platform || public || !shown(config.client_secret.as_ref()).is_empty(),
        ),
    ];
    needs
        .into_iter()
        .filter(|(_, present)| !present)
        .map(|(what, _)| what.to_owned())
        .collect()
}

/// Whether all users act with one account (AK-240).
fn is_shared(connection: &Connection) -> bool {
    connection.auth_mode == i32::from(ConnectionAuthMode::OrgWide)
}

/// How many accounts a connection has; `None` when the member may not see them.
pub(super) async fn accounts(desk: &Desk, connection: &Connection) -> Option<u32> {
    let request = ListConnectedAccountsRequest {
        page_size: 1,
        connector: Some(name(connection)),
        ..Default::default()
    };
    let answer = desk
        .rpc
        .accounts()
        .list_connected_accounts(request)
        .await
        .ok()?;
    Some(answer.into_inner().total_size)
}

/// The page of a connection with the settings form.
pub(super) async fn page(
    desk: &Desk,
    connection: &Connection,
    form: Form,
) -> Result<Page, Trouble> {
    let path = format!("/connections/{}", connection.id);
    let called = name(connection);
    let mut page = desk.page(SECTION, called.clone());
    let names = Names::load(desk).await;
    let service = names.of(&connection.provider_key);
    page.tile = Some(Monogram::of(service));
    page.badge = Some(words::connection_state(
        connection.status,
        connection.enabled,
    ));
    page.crumbs = vec![desk.crumb("/connections", "Connections")];
    let test = Action::link("Test", desk.path(&format!("{path}/test")));
    if connection.enabled {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("connection", &called)
            .finish();
        let connect = desk.path(&format!("/accounts/new?{query}"));
        let disable = desk.path(&format!("{path}/disable"));
        page.actions.push(Action::link("Disable…", disable));
        page.actions.push(test);
        page.actions.push(if is_shared(connection) {
            let shared = desk.path(&format!("{path}/shared"));
            Action::post("Connect the shared account", shared, &desk.csrf).primary()
        } else {
            Action::link("Connect an account", connect).primary()
        });
    } else {
        let enable = desk.path(&format!("{path}/enable"));
        page.actions.push(test);
        page.actions
            .push(Action::post("Enable", enable, &desk.csrf).primary());
    }

    let missing = missing(connection);
    if !missing.is_empty() {
        page.blocks.push(Block::Notice(Notice {
            points: missing,
            ..Notice::new(
                Tone::Warn,
                "Not ready yet",
                "Register an app at the service with the redirect address below. Then enter here:",
            )
        }));
    }
    let health = Health::load(desk, &connection.id).await;
    page.blocks.push(Block::Card(Box::new(Card {
        title: "Details".to_owned(),
        body: CardBody::Facts(facts(desk, connection, service, &health).await),
        ..Card::default()
    })));
    page.blocks.extend(health.blocks(desk));
    page.blocks.push(Block::Card(Box::new(Card {
        title: "Settings".to_owned(),
        about: "Every change is recorded with your name.".to_owned(),
        body: CardBody::Form(form),
        ..Card::default()
    })));
    page.blocks.push(Block::Card(Box::new(Card {
        title: "In your code".to_owned(),
        about: "Makes a link that a user opens to connect an account (Python).".to_owned(),
        body: CardBody::Copy(snippet(&called)),
        ..Card::default()
    })));
    page.blocks.push(Block::Card(Box::new(Card {
        title: "Delete connection".to_owned(),
        about: "Possible once it has no connected accounts.".to_owned(),
        actions: vec![Action::link("Delete…", desk.path(&format!("{path}/delete"))).danger()],
        danger: true,
        ..Card::default()
    })));
    Ok(page)
}

async fn facts(desk: &Desk, connection: &Connection, service: &str, health: &Health) -> Vec<Fact> {
    let kind = ConnectionType::try_from(connection.r#type).unwrap_or_default();
    let everybody = is_shared(connection);
    let mut facts = Vec::new();
    if settings::uses_oauth(connection) {
        let redirect = settings::oauth(connection).redirect_uri;
        facts.push(
            Fact::new("Redirect address", FactValue::Copy(redirect))
                .note("Register it at the service, exactly as it stands."),
        );
    }
    let connector = desk.path(&format!("/connectors/{}", connection.provider_key));
    facts.push(Fact::new(
        "Connector",
        FactValue::Link {
            href: connector,
            text: service.to_owned(),
        },
    ));
    if settings::uses_oauth(connection) {
        let known = connectors::find(desk, &connection.provider_key).await;
        let scopes = known.map_or_else(|_| Vec::new(), |connector| connector.scopes());
        if !scopes.is_empty() {
            let fact = Fact::new("Permissions it offers", FactValue::Tags(scopes));
            facts.push(fact.note("Copy those that your application needs into the settings."));
        }
    }
    facts.push(Fact::text("Sign-in", words::auth_type(kind.as_str_name())));
    facts.push(Fact::text(
        "Whose account is used",
        if everybody {
            "One for everybody"
        } else {
            "Each user's own"
        },
    ));
    if let Some(total) = accounts(desk, connection).await {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("connection", &name(connection))
            .finish();
        let href = desk.path(&format!("/accounts?{query}"));
        let fact = Fact::new(
            "Accounts",
            FactValue::Link {
                href,
                text: words::count(total, "connected account", "connected accounts"),
            },
        );
        facts.push(fact.note(health.by_state()));
    }
    facts.push(Fact::new(
        "Connection ID",
        FactValue::Code(connection.id.clone()),
    ));
    facts.push(Fact::new(
        "Created",
        words::time_fact(connection.create_time.as_ref(), "–"),
    ));
    facts.push(Fact::new(
        "Changed",
        words::time_fact(connection.update_time.as_ref(), "–"),
    ));
    facts
}

fn snippet(name: &str) -> String {
    format!(
        "link = scalekit_client.actions.get_authorization_link(\n    connection_name=\"{name}\",\n    identifier=\"user_123\",\n)\nprint(link.link)"
    )
}
