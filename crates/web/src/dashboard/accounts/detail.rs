use super::{SECTION, create, find, history::History};
use crate::{
    csrf::Posted,
    dashboard::{connectors::Names, desk::Desk, json, trouble::Answer, words},
    render::html,
    view::{Action, Block, Card, CardBody, Fact, FactValue, Monogram, Notice, Page, Tone},
};
use axum::extract::Path;
use http::StatusCode;
use keystead_proto::extensions::{ListMissingScopesRequest, RefreshConnectedAccountRequest};
use keystead_proto::v1::connected_accounts::{
    ConnectedAccount, ConnectorStatus, ConnectorType, GetMagicLinkForConnectedAccountRequest,
    authorization_details::Details,
};
use tonic::Code;

pub(super) async fn show(desk: Desk, Path((_, id)): Path<(String, String)>) -> Answer {
    let account = find(&desk, &id).await?;
    Ok(html(StatusCode::OK, &page(&desk, &account, None).await))
}

/// A link for this account: to connect it, to authorize it again, to change its permissions.
pub(super) async fn link(
    desk: Desk,
    Path((_, id)): Path<(String, String)>,
    Posted(_): Posted,
) -> Answer {
    let request = GetMagicLinkForConnectedAccountRequest {
        id: Some(id.clone()),
        ..Default::default()
    };
    let answer = desk
        .rpc
        .accounts()
        .get_magic_link_for_connected_account(request)
        .await?
        .into_inner();
    let account = find(&desk, &id).await?;
    Ok(html(
        StatusCode::OK,
        &page(&desk, &account, Some(create::user_notice(&answer))).await,
    ))
}

/// Fetches new tokens before they are due (AK-225).
pub(super) async fn refresh(
    desk: Desk,
    Path((_, id)): Path<(String, String)>,
    Posted(_): Posted,
) -> Answer {
    let request = RefreshConnectedAccountRequest { id: id.clone() };
    let answer = desk
        .rpc
        .account_extensions()
        .refresh_connected_account(request)
        .await;
    let Err(status) = answer else {
        return Ok(desk.done(&format!("/accounts/{id}"), "account-refreshed"));
    };
    // Both mean that the service said no, now or for good; the page tells what the account is now.
    if !matches!(status.code(), Code::FailedPrecondition | Code::Unavailable) {
        return Err(status.into());
    }
    let account = find(&desk, &id).await?;
    let notice = Notice {
        toast: true,
        ..Notice::new(Tone::Bad, "The token was not refreshed", status.message())
    };
    let page = page(&desk, &account, Some(notice)).await;
    Ok(html(StatusCode::CONFLICT, &page))
}

async fn page(desk: &Desk, account: &ConnectedAccount, notice: Option<Notice>) -> Page {
    let path = format!("/accounts/{}", account.id);
    let mut page = desk.page(SECTION, account.identifier.clone());
    let names = Names::load(desk).await;
    let service = names.of(&account.provider);
    page.tile = Some(Monogram::of(service));
    page.badge = Some(words::account_state(account.status));
    page.crumbs = vec![desk.crumb("/accounts", "Connected accounts")];
    let active = account.status == i32::from(ConnectorStatus::Active);
    let label = match (active, gives_tokens(account)) {
        (true, true) => "Link to authorize again",
        (true, false) => "Link to change the credential",
        (false, _) => "Create link",
    };
    if active && gives_tokens(account) {
        let refresh = desk.path(&format!("{path}/refresh"));
        page.actions
            .push(Action::post("Refresh now", refresh, &desk.csrf));
    }
    if account.status != i32::from(ConnectorStatus::Disconnected) {
        page.actions.push(Action::link(
            "Disconnect…",
            desk.path(&format!("{path}/disconnect")),
        ));
    }
    page.actions
        .push(Action::post(label, desk.path(&format!("{path}/link")), &desk.csrf).primary());
    let history = History::load(desk, &account.id).await;
    match (notice, words::account_advice(account.status)) {
        (Some(notice), _) => page.blocks.push(Block::Notice(notice)),
        (None, Some((title, text))) => {
            let why = history.why_refresh_failed().filter(|_| !active);
            page.blocks.push(Block::Notice(Notice {
                points: why
                    .map(|why| format!("Reason: {why}"))
                    .into_iter()
                    .collect(),
                ..Notice::new(Tone::Warn, title, text)
            }));
        }
        (None, None) => {}
    }
    let mut facts = facts(desk, account, service, &history);
    let missing = missing_scopes(desk, account).await;
    if !missing.is_empty() {
        let fact = Fact::new("Permissions missing", FactValue::Tags(missing));
        facts.push(fact.note("The user gives them by authorizing again."));
    }
    page.blocks.push(Block::Card(Box::new(Card {
        title: "Details".to_owned(),
        body: CardBody::Facts(facts),
        ..Card::default()
    })));
    if let Some(config) = account
        .api_config
        .as_ref()
        .filter(|config| !config.fields.is_empty())
    {
        page.blocks.push(Block::Card(Box::new(Card {
            title: "Account settings".to_owned(),
            about: "What calls with this account are filled in with.".to_owned(),
            body: CardBody::Copy(
                serde_json::to_string_pretty(&json::from_struct(config)).unwrap_or_default(),
            ),
            ..Card::default()
        })));
    }
    page.blocks.push(history.block());
    page.blocks.push(Block::Card(Box::new(Card {
        title: "Delete account".to_owned(),
        about: "Removes the account and its credential for good.".to_owned(),
        actions: vec![Action::link("Delete…", desk.path(&format!("{path}/delete"))).danger()],
        danger: true,
        ..Card::default()
    })));
    page
}

/// Whether the service issues tokens that end and are refreshed; an API key is neither.
fn gives_tokens(account: &ConnectedAccount) -> bool {
    use ConnectorType as K;
    matches!(
        ConnectorType::try_from(account.authorization_type).unwrap_or_default(),
        K::Oauth | K::OauthM2m | K::GoogleDwd | K::SmartFhir
    )
}

fn facts(desk: &Desk, account: &ConnectedAccount, service: &str, history: &History) -> Vec<Fact> {
    let kind = ConnectorType::try_from(account.authorization_type).unwrap_or_default();
    let connection = FactValue::Link {
        href: desk.path(&format!("/connections/{}", account.connection_id)),
        text: account.connector.clone(),
    };
    let mut facts = vec![
        Fact::new("Connection", connection),
        Fact::text("Service", service),
        Fact::text("Sign-in", words::auth_type(kind.as_str_name())),
    ];
    if let Some(scopes) = scopes(account) {
        facts.push(Fact::new("Permissions given", FactValue::Tags(scopes)));
    }
    if account.is_org_wide_credential {
        facts.push(Fact::text("Used for", "Everybody who agreed"));
    }
    let ends = account.token_expires_at.as_ref();
    if ends.is_some() || gives_tokens(account) {
        let fact = Fact::new("Token expires", words::time_fact(ends, "Not known"));
        let live = account.status == i32::from(ConnectorStatus::Active);
        facts.push(
            fact.note(if live && ends.is_some() && gives_tokens(account) {
                "It is refreshed by itself before that."
            } else {
                ""
            }),
        );
    }
    if gives_tokens(account) {
        let at = words::time_fact(history.last_refresh(), "Not lately");
        facts.push(Fact::new("Last refresh", at));
    }
    facts.push(Fact::new(
        "Last used",
        words::time_fact(account.last_used_at.as_ref(), "Never"),
    ));
    facts.push(
        Fact::new(
            "Last change",
            words::time_fact(account.updated_at.as_ref(), "–"),
        )
        .note("Refreshes and authorizations count as changes."),
    );
    facts.push(Fact::new("Account ID", FactValue::Code(account.id.clone())));
    facts
}

/// The permissions of an OAuth account; a static credential has none.
fn scopes(account: &ConnectedAccount) -> Option<Vec<String>> {
    match account.authorization_details.as_ref()?.details.as_ref()? {
        Details::OauthToken(token) => Some(token.scopes.clone()),
        Details::GoogleDwd(delegation) => Some(delegation.scopes.clone()),
        Details::StaticAuth(_) | Details::TrustedIdp(_) => None,
    }
}

/// Permissions that the connection asks for and the user has not given (AK-333).
async fn missing_scopes(desk: &Desk, account: &ConnectedAccount) -> Vec<String> {
    let request = ListMissingScopesRequest {
        id: account.id.clone(),
    };
    let mut records = desk.rpc.account_extensions();
    let answer = records.list_missing_scopes(request).await;
    answer.map_or_else(|_| Vec::new(), |answer| answer.into_inner().missing_scopes)
}
