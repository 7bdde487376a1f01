use super::{
    flow::{Answers, Browser, ConnectError, Consent, Finished, Link, Opened, Submitted, ToVerify},
    form, outcome, place,
};
use crate::{
    Deps,
    cookies::{self, Tag},
    csrf::{self, Guard, Posted},
    failure::{Failure, reference},
    render::{html, redirect, set_cookie, set_tagged},
    view::{ConnectPage, HandOff, SignInPage},
    visitor,
};
use axum::{
    Router,
    extract::{Path, RawQuery, State},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use keystead_types::{ConnectionId, Secret};

const CALLBACK: &str = "/sso/v1/oauth/{connection_id}/callback";

/// The hosted pages.
pub(crate) fn router(deps: &Deps) -> Router {
    let guard = Guard {
        deps: deps.clone(),
        bound_to: &[cookies::PORTAL, cookies::SESSION, cookies::CONNECT],
    };
    Router::new()
        .route("/oauth/connect", get(open).post(submit))
        .route("/connect/success", get(success))
        .route("/connect/verify", get(ask_member).post(verify_member))
        .route("/connect/place", get(place::ask).post(place::choose))
        .layer(middleware::from_fn_with_state(guard, csrf::protect))
        // A provider's answer is checked by its state and the connect cookie, not by our form token.
        .route(CALLBACK, get(callback).post(callback_form))
        .with_state(deps.clone())
}

/// The visitor's browser, as the domain sees it: with the cookies of the flow, or of the link, that the
/// request is about.
pub(super) fn browser(
    headers: &HeaderMap,
    extensions: &Extensions,
    flow: Option<&Tag>,
    link: Option<&Tag>,
) -> Browser {
    let tagged = |cookie: cookies::Cookie, tag: Option<&Tag>| cookie.read_tagged(headers, tag?);
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let name = host.parse::<http::uri::Authority>();
    Browser {
        host: name.map_or_else(
            |_| String::new(),
            |name| name.host().trim_end_matches('.').to_ascii_lowercase(),
        ),
        address: visitor::address(extensions),
        connect: tagged(cookies::CONNECT, flow),
        portal: tagged(cookies::PORTAL, link),
        member_session: cookies::SESSION.read(headers),
    }
}

fn pairs(query: Option<&str>) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .into_owned()
        .collect()
}

fn link(query: Option<&str>) -> Link {
    Link {
        token: Secret::new(parameter(query, "token")),
        state: parameter(query, "state"),
    }
}

/// The parameter's first value, or nothing.
fn parameter(query: Option<&str>, name: &str) -> String {
    let pair = pairs(query).into_iter().find(|(key, _)| key == name);
    pair.map(|(_, value)| value).unwrap_or_default()
}

fn link_tag(link: &Link) -> Option<Tag> {
    Tag::of(link.token.expose())
}

/// Ties the consent to this browser, and remembers its link for pages that tell of a failure.
fn begun(response: Response, headers: &HeaderMap, consent: &Consent, link: &Link) -> Response {
    let flow = Tag::of(&consent.flow);
    let flow = flow.as_ref();
    let value = consent.connect.expose();
    let mut response = set_tagged(response, headers, cookies::CONNECT, flow, value);
    // A link that no cookie can hold is not ours.
    let remembered = flow.and_then(|flow| {
        let query = form::query(link);
        cookies::LINK.set_tagged(headers, flow, &query)
    });
    for line in remembered.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    response
}

/// The link that the flow began with, if this browser began it.
pub(super) fn opened(headers: &HeaderMap, flow: Option<&Tag>) -> Option<Link> {
    let query = cookies::LINK.read_tagged(headers, flow?)?;
    Some(link(Some(query.expose())))
}

async fn open(
    State(deps): State<Deps>,
    headers: HeaderMap,
    extensions: Extensions,
    RawQuery(query): RawQuery,
) -> Response {
    let link = link(query.as_deref());
    match deps
        .connect
        .open(&browser(&headers, &extensions, None, None), &link)
        .await
    {
        Ok(Opened::Provider(consent)) => {
            let response = redirect(StatusCode::FOUND, consent.url.as_str());
            begun(response, &headers, &consent, &link)
        }
        Ok(Opened::Form { form, portal }) => {
            let token = csrf::token(&deps, cookies::PORTAL, portal.expose());
            let page = html(StatusCode::OK, &form::page(&form, &link, token));
            // Calls of the API have the session of the form that was opened last.
            let page = set_cookie(page, cookies::PORTAL, portal.expose());
            let tag = link_tag(&link);
            set_tagged(
                page,
                &headers,
                cookies::PORTAL,
                tag.as_ref(),
                portal.expose(),
            )
        }
        Err(error) => failed(&deps, &error, Some(&link)),
    }
}

async fn submit(
    State(deps): State<Deps>,
    headers: HeaderMap,
    extensions: Extensions,
    RawQuery(query): RawQuery,
    Posted(sent): Posted,
) -> Response {
    let link = link(query.as_deref());
    let browser = browser(&headers, &extensions, None, link_tag(&link).as_ref());
    match deps
        .connect
        .submit(&browser, &link, Answers::new(sent.clone()))
        .await
    {
        Ok(Submitted::Wrong { form, violations }) => {
            let token = browser
                .portal
                .map(|portal| csrf::token(&deps, cookies::PORTAL, portal.expose()));
            let page: ConnectPage =
                form::again(&form, &link, token.unwrap_or_default(), &sent, violations);
            html(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        Ok(Submitted::Provider(consent)) => {
            let page = HandOff {
                to: consent.url.clone(),
                name: consent.provider.clone(),
            };
            begun(html(StatusCode::OK, &page), &headers, &consent, &link)
        }
        Ok(Submitted::Finished(end)) => cookies_gone(finished(end, None), None, Some(&link)),
        Err(error) => failed(&deps, &error, Some(&link)),
    }
}

async fn callback(
    State(deps): State<Deps>,
    headers: HeaderMap,
    extensions: Extensions,
    Path(connection): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let flow = Tag::of(&parameter(query.as_deref(), "state"));
    let flow = flow.as_ref();
    let opened = opened(&headers, flow);
    let Ok(connection) = connection.parse::<ConnectionId>() else {
        return failed(&deps, &ConnectError::InvalidState, opened.as_ref());
    };
    let browser = browser(&headers, &extensions, flow, None);
    match deps
        .connect
        .callback(&browser, connection, &pairs(query.as_deref()))
        .await
    {
        // What follows still needs the connect cookie.
        Ok(end @ (Finished::SignIn { .. } | Finished::Choose { .. })) => finished(end, flow),
        Ok(end) => cookies_gone(finished(end, flow), flow, opened.as_ref()),
        Err(error) => failed(&deps, &error, opened.as_ref()),
    }
}

/// A provider that answers with a form (`response_mode=form_post`): browsers leave `SameSite=Lax`
/// cookies out of such a POST, so it is turned into the GET that carries them.
async fn callback_form(Path(connection): Path<String>, body: axum::body::Bytes) -> Response {
    if connection.parse::<ConnectionId>().is_err() {
        return Failure::NotFound.into_response();
    }
    let parameters: Vec<(String, String)> =
        url::form_urlencoded::parse(&body).into_owned().collect();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    redirect(
        StatusCode::SEE_OTHER,
        &format!("/sso/v1/oauth/{connection}/callback?{query}"),
    )
}

async fn success() -> Response {
    html(StatusCode::OK, &outcome::connected())
}

/// Asks the member to finish: a GET must not, because any page could cause it.
async fn ask_member(
    State(deps): State<Deps>,
    headers: HeaderMap,
    extensions: Extensions,
    RawQuery(query): RawQuery,
) -> Response {
    let (request, flow) = request(query.as_deref());
    let flow = flow.as_ref();
    let Some(session) = cookies::SESSION.read(&headers) else {
        return to_sign_in(&request, flow);
    };
    let browser = browser(&headers, &extensions, flow, None);
    let account = match deps.connect.to_verify(&browser, &request).await {
        Ok(account) => account,
        Err(error) => return failed(&deps, &error, opened(&headers, flow).as_ref()),
    };
    let form = crate::view::Form {
        action: verify_address(&request, flow),
        csrf: csrf::token(&deps, cookies::SESSION, session.expose()),
        submit: "Finish connecting".to_owned(),
        ..crate::view::Form::default()
    };
    let page = SignInPage {
        title: "Finish connecting the account?".to_owned(),
        lead: lead(&account),
        form,
        again: String::new(),
    };
    html(StatusCode::OK, &page)
}

/// SECURITY: a member who was led here must see whose account he is about to connect.
fn lead(account: &ToVerify) -> String {
    let user = account.user.as_ref();
    let user = user.map_or_else(
        || "all users of the connection".to_owned(),
        |user| format!("the user “{user}”"),
    );
    format!(
        "You gave permission at {}. It connects the account of {user} on the connection “{}”. \
         Finish only if you began this yourself and they are the ones you meant.",
        account.service, account.connection
    )
}

async fn verify_member(
    State(deps): State<Deps>,
    headers: HeaderMap,
    extensions: Extensions,
    RawQuery(query): RawQuery,
    Posted(_): Posted,
) -> Response {
    let (request, flow) = request(query.as_deref());
    let flow = flow.as_ref();
    let opened = opened(&headers, flow);
    match deps
        .connect
        .verify_member(&browser(&headers, &extensions, flow, None), &request)
        .await
    {
        Ok(end @ Finished::SignIn { .. }) => finished(end, flow),
        Ok(end) => cookies_gone(finished(end, flow), flow, opened.as_ref()),
        Err(error) => failed(&deps, &error, opened.as_ref()),
    }
}

/// The pending authorization, and its flow.
pub(super) fn request(query: Option<&str>) -> (String, Option<Tag>) {
    let flow = Tag::of(&parameter(query, "flow"));
    (parameter(query, "request"), flow)
}

/// What [`request`] reads.
pub(super) fn request_query(request: &str, flow: Option<&Tag>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("request", request);
    if let Some(flow) = flow {
        query.append_pair("flow", flow.as_str());
    }
    query.finish()
}

fn verify_address(request: &str, flow: Option<&Tag>) -> String {
    format!("/connect/verify?{}", request_query(request, flow))
}

fn to_sign_in(request: &str, flow: Option<&Tag>) -> Response {
    let back = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", &verify_address(request, flow))
        .finish();
    redirect(StatusCode::SEE_OTHER, &format!("/dashboard/sign-in?{back}"))
}

pub(super) fn finished(end: Finished, flow: Option<&Tag>) -> Response {
    match end {
        Finished::Connected => redirect(StatusCode::SEE_OTHER, "/connect/success"),
        Finished::Application(url) => redirect(StatusCode::SEE_OTHER, url.as_str()),
        Finished::SignIn { request } => {
            redirect(StatusCode::SEE_OTHER, &verify_address(&request, flow))
        }
        Finished::Choose { request } => {
            let to = place::address(request.expose(), flow);
            redirect(StatusCode::SEE_OTHER, &to)
        }
    }
}

/// Removes the cookies of what is finished, and leaves those of other tabs.
pub(super) fn cookies_gone(
    mut response: Response,
    flow: Option<&Tag>,
    link: Option<&Link>,
) -> Response {
    let of_flow = [cookies::CONNECT, cookies::LINK].map(|cookie| cookie.clear_tagged(flow?));
    let tag = link.and_then(link_tag);
    let of_link = [
        tag.and_then(|tag| cookies::PORTAL.clear_tagged(&tag)),
        cookies::PORTAL.clear(),
    ];
    for cookie in of_flow.into_iter().chain(of_link).flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The page, and one line in the log with the same reference.
pub(super) fn failed(deps: &Deps, error: &ConnectError, link: Option<&Link>) -> Response {
    let reference = reference(deps);
    if let ConnectError::Internal(cause) = error {
        tracing::error!(%reference, %cause, "hosted page failed");
    } else {
        tracing::info!(%reference, %error, "hosted page refused");
    }
    let (status, page) = outcome::failed(error, reference, link);
    let mut response = html(status, &page);
    if status == StatusCode::TOO_MANY_REQUESTS {
        // What the page says.
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    }
    response
}
