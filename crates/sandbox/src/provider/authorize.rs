//! The consent page and its answer (RFC 6749 section 4.1, RFC 7636).

use super::{Provider, USERS, User, grants::NewCode, log::Event};
use crate::pages::{page, problem};
use askama::Template;
use axum::{
    Form, Router,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use http::StatusCode;
use serde::Deserialize;
use url::Url;

#[derive(Clone, Default, Debug, Deserialize)]
struct Params {
    #[serde(default)]
    response_type: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    redirect_uri: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    code_challenge: String,
    #[serde(default)]
    code_challenge_method: String,
    /// Address or subject of the user to preselect.
    #[serde(default)]
    login_hint: String,
}

/// A filled consent form with the parameters it was opened with.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<P> {
    #[serde(flatten)]
    pub(super) params: P,
    /// Subject.
    #[serde(default)]
    pub(super) user: String,
    /// `allow`, anything else denies.
    #[serde(default)]
    pub(super) decision: String,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct Consent {
    params: Params,
    users: [User; 3],
    chosen: &'static str,
    scopes: Vec<String>,
    host: String,
}

pub(crate) fn router() -> Router<Provider> {
    Router::new().route("/sandbox/provider/authorize", get(ask).post(answer))
}

async fn ask(State(provider): State<Provider>, Query(params): Query<Params>) -> Response {
    let redirect = match check(&provider, &params) {
        Ok(redirect) => redirect,
        Err(refused) => return *refused,
    };
    let [first, ..] = USERS;
    page(&Consent {
        chosen: User::find(&params.login_hint).unwrap_or(first).subject,
        users: USERS,
        scopes: params.scope.split_whitespace().map(str::to_owned).collect(),
        host: redirect.host_str().unwrap_or_default().to_owned(),
        params,
    })
}

async fn answer(State(provider): State<Provider>, Form(answer): Form<Answer<Params>>) -> Response {
    let Answer {
        params,
        user,
        decision,
    } = answer;
    // The hidden fields came through the browser: everything is checked again.
    let redirect = match check(&provider, &params) {
        Ok(redirect) => redirect,
        Err(refused) => return *refused,
    };
    let now = provider.now();
    if decision != "allow" {
        let mut state = provider.state();
        state.log.count(|total| total.denials += 1);
        state
            .log
            .add(now, Event::new("consent.denied").client(&params.client_id));
        return refuse(redirect, &params.state, "access_denied", "the user said no");
    }
    let Some(user) = User::find(&user) else {
        return problem(
            StatusCode::BAD_REQUEST,
            "No such user",
            "Go back and choose one of the users.",
        );
    };
    let code = provider.random("spac_");
    let mut state = provider.state();
    state.log.count(|total| total.consents += 1);
    let event = Event::new("consent.given")
        .client(&params.client_id)
        .subject(user.subject);
    state
        .log
        .add(now, event.token(&code).detail(params.scope.as_str()));
    let new = NewCode {
        client_id: params.client_id,
        redirect_uri: params.redirect_uri,
        subject: user.subject.to_owned(),
        scope: params.scope,
        challenge: (!params.code_challenge.is_empty()).then_some(params.code_challenge),
    };
    state.grants.add_code(&code, new, now);
    go_back(redirect, &params.state, &[("code", &code)])
}

/// Checks the request. Until client and redirect URI are known to fit, errors stay on a page: a
/// redirect would make this an open redirector.
fn check(provider: &Provider, params: &Params) -> Result<Url, Box<Response>> {
    let state = provider.state();
    let Some(client) = state.grants.client(&params.client_id) else {
        let text = format!(
            "The client_id is not registered. Use {} or register it.",
            crate::CLIENT_ID
        );
        return Err(Box::new(problem(
            StatusCode::BAD_REQUEST,
            "Unknown application",
            &text,
        )));
    };
    let redirect = client
        .accepts_redirect(&params.redirect_uri)
        .then(|| Url::parse(&params.redirect_uri).ok());
    let Some(redirect) = redirect.flatten() else {
        let text = "The redirect_uri must be exactly one that is registered for the application; an application without any \
                    may use every URL on loopback.";
        return Err(Box::new(problem(
            StatusCode::BAD_REQUEST,
            "Wrong redirect URI",
            text,
        )));
    };
    let public = client.client_secret.is_none();
    let fault = match params {
        Params { response_type, .. } if response_type != "code" => {
            Some(("unsupported_response_type", "response_type must be code"))
        }
        Params { code_challenge, .. } if code_challenge.is_empty() => public.then_some((
            "invalid_request",
            "an application without a secret must send code_challenge",
        )),
        Params {
            code_challenge_method,
            ..
        } if code_challenge_method != "S256" => {
            Some(("invalid_request", "code_challenge_method must be S256"))
        }
        _ => None,
    };
    match fault {
        Some((error, description)) => Err(Box::new(refuse(
            redirect,
            &params.state,
            error,
            description,
        ))),
        None => Ok(redirect),
    }
}

fn refuse(redirect: Url, state: &str, error: &str, description: &str) -> Response {
    go_back(
        redirect,
        state,
        &[("error", error), ("error_description", description)],
    )
}

fn go_back(mut redirect: Url, state: &str, params: &[(&str, &str)]) -> Response {
    {
        let mut query = redirect.query_pairs_mut();
        query.extend_pairs(params);
        if !state.is_empty() {
            query.append_pair("state", state);
        }
    }
    Redirect::to(redirect.as_str()).into_response()
}
