//! Which of several sites or tenants of a grant is meant (AK-013).

use super::{
    flow::{Browser, Finished, PlaceQuestion},
    routes::{browser, cookies_gone, failed, finished, opened, request, request_query},
};
use crate::{
    Deps,
    cookies::{self, Tag},
    csrf::{self, Posted},
    render::html,
    view::{Choice, ConnectPage, Field, Form, HandOff, Kind},
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use http::{Extensions, HeaderMap, StatusCode};

/// Name of the field.
const PLACE: &str = "place";

/// Asks. The answer is a POST, because any page could cause a GET.
pub(super) async fn ask(
    State(deps): State<Deps>,
    headers: HeaderMap,
    extensions: Extensions,
    RawQuery(query): RawQuery,
) -> Response {
    let (request, flow) = request(query.as_deref());
    let flow = flow.as_ref();
    let browser = browser(&headers, &extensions, flow, None);
    match deps.connect.to_choose(&browser, &request).await {
        Ok(question) => html(
            StatusCode::OK,
            &page(&deps, &browser, &request, flow, &question),
        ),
        Err(error) => failed(&deps, &error, opened(&headers, flow).as_ref()),
    }
}

/// Takes the answer.
pub(super) async fn choose(
    State(deps): State<Deps>,
    headers: HeaderMap,
    extensions: Extensions,
    RawQuery(query): RawQuery,
    Posted(sent): Posted,
) -> Response {
    let (request, flow) = request(query.as_deref());
    let flow = flow.as_ref();
    let browser = browser(&headers, &extensions, flow, None);
    let chosen = deps
        .connect
        .choose(&browser, &request, sent.text(PLACE))
        .await;
    match chosen {
        Ok(Some(Finished::Application(url))) => {
            let page = HandOff {
                name: url.host_str().unwrap_or_default().to_owned(),
                to: url,
            };
            cookies_gone(
                html(StatusCode::OK, &page),
                flow,
                opened(&headers, flow).as_ref(),
            )
        }
        // The sign-in that follows still needs the connect cookie.
        Ok(Some(end @ Finished::SignIn { .. })) => finished(end, flow),
        Ok(Some(end)) => cookies_gone(finished(end, flow), flow, opened(&headers, flow).as_ref()),
        Ok(None) => match deps.connect.to_choose(&browser, &request).await {
            Ok(question) => {
                let mut page = page(&deps, &browser, &request, flow, &question);
                let wrong = format!("Choose the {} to connect.", question.noun);
                page.form.blame(vec![(PLACE.to_owned(), wrong)]);
                html(StatusCode::UNPROCESSABLE_ENTITY, &page)
            }
            Err(error) => failed(&deps, &error, opened(&headers, flow).as_ref()),
        },
        Err(error) => failed(&deps, &error, opened(&headers, flow).as_ref()),
    }
}

pub(super) fn address(request: &str, flow: Option<&Tag>) -> String {
    format!("/connect/place?{}", request_query(request, flow))
}

fn page(
    deps: &Deps,
    browser: &Browser,
    request: &str,
    flow: Option<&Tag>,
    question: &PlaceQuestion,
) -> ConnectPage {
    let PlaceQuestion {
        application,
        provider,
        noun,
        places,
    } = question;
    let choices = places
        .iter()
        .map(|place| Choice::new(&place.value, &place.label, &place.about, ""));
    let csrf = browser
        .connect
        .as_ref()
        .map(|cookie| csrf::token(deps, cookies::CONNECT, cookie.expose()));
    let label = format!("{provider} {noun}");
    ConnectPage {
        application: application.clone(),
        provider: provider.clone(),
        lead: format!(
            "Your permission is good for more than one {noun}. Choose the one that {application} works with."
        ),
        reassurance: format!("{application} works with the {noun} you choose and with no other."),
        form: Form {
            action: address(request, flow),
            csrf: csrf.unwrap_or_default(),
            submit: format!("Connect this {noun}"),
            ..Form::default()
        }
        .field(Field::new(PLACE, &label, Kind::Radio(choices.collect())).required()),
    }
}
