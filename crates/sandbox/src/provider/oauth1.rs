//! OAuth 1.0a (RFC 5849): temporary credentials, the consent page, token credentials.
//!
//! The clients are those of the OAuth 2.0 side; a client without secret signs with an empty one.

mod signature;

use super::{Provider, State as ProviderState, USERS, User, authorize::Answer, log::Event};
use crate::pages::{page, problem};
use askama::Template;
use axum::{
    Form, Router,
    extract::{Query, Request, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::{StatusCode, header};
use keystead_types::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use url::{Url, form_urlencoded};

pub(super) use signature::{Signed, read};

const TEMPORARY_LIFETIME: Duration = Duration::from_mins(10);
/// How far a timestamp may be off.
const CLOCK_SKEW: Duration = Duration::from_mins(5);
/// Above this many entries, old ones are dropped.
const CROWDED: usize = 10_000;

/// A flow between its first and its last step.
#[derive(Debug)]
struct Temporary {
    secret: String,
    client_id: String,
    callback: String,
    scope: String,
    /// Who consented, and the proof of it.
    consented: Option<(String, String)>,
    expires_at: Timestamp,
}

/// A token that does not end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Token {
    secret: String,
    client_id: String,
    pub(super) subject: String,
    pub(super) scope: String,
}

/// All flows, tokens and nonces of OAuth 1.0a.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Credentials {
    #[serde(skip)]
    temporary: HashMap<String, Temporary>,
    /// Their secrets sign, so hashes would not do.
    tokens: HashMap<String, Token>,
    #[serde(skip)]
    nonces: HashSet<(String, String, i64)>,
}

impl Credentials {
    /// Whether time and nonce are acceptable; notes the nonce (section 3.3).
    fn is_fresh(&mut self, signed: &Signed, now: Timestamp) -> bool {
        let Some(at) = signed.timestamp() else {
            return false;
        };
        let skew = i64::try_from(CLOCK_SKEW.as_secs()).unwrap_or(i64::MAX);
        if now.as_secs().abs_diff(at) > skew.unsigned_abs() {
            return false;
        }
        if self.nonces.len() > CROWDED {
            self.nonces
                .retain(|(_, _, at)| now.as_secs().abs_diff(*at) <= skew.unsigned_abs());
        }
        let nonce = signed.get("oauth_nonce").to_owned();
        self.nonces
            .insert((signed.get("oauth_consumer_key").to_owned(), nonce, at))
    }
}

pub(crate) fn router() -> Router<Provider> {
    let base = "/sandbox/provider/oauth1";
    Router::new()
        .route(&format!("{base}/request_token"), post(request_token))
        .route(&format!("{base}/authorize"), get(ask).post(answer))
        .route(&format!("{base}/access_token"), post(access_token))
}

/// Whom a signed call, or one with key and token alone as Trello takes it, stands for.
pub(super) fn caller(state: &mut ProviderState, signed: &Signed, now: Timestamp) -> Option<Token> {
    let token = state
        .oauth1
        .tokens
        .get(signed.get("oauth_token"))
        .filter(|token| token.client_id == signed.get("oauth_consumer_key"))?
        .clone();
    if !signed.has_signature() {
        return Some(token);
    }
    verified(state, signed, &token.secret, now)
        .is_some()
        .then_some(token)
}

/// The client of a request that is signed well and for the first time.
fn verified(
    state: &mut ProviderState,
    signed: &Signed,
    token_secret: &str,
    now: Timestamp,
) -> Option<String> {
    let client = state.grants.client(signed.get("oauth_consumer_key"))?;
    let secret = client.client_secret.clone().unwrap_or_default();
    let id = client.client_id.clone();
    let good = signed.is_signed_with(&secret, token_secret);
    (good && state.oauth1.is_fresh(signed, now)).then_some(id)
}

fn refused(state: &mut ProviderState, now: Timestamp, why: &'static str) -> Response {
    state.log.add(now, Event::new("oauth1.refused").detail(why));
    let challenge = [(header::WWW_AUTHENTICATE, "OAuth realm=\"sandbox\"")];
    (StatusCode::UNAUTHORIZED, challenge, why).into_response()
}

fn form_answer(pairs: &[(&str, &str)]) -> Response {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let kind = [(header::CONTENT_TYPE, "application/x-www-form-urlencoded")];
    (kind, body).into_response()
}

async fn request_token(State(provider): State<Provider>, request: Request) -> Response {
    let (token, secret) = (provider.random("sp1t_"), provider.random(""));
    let now = provider.now();
    let (_, signed) = read(request).await;
    let mut state = provider.state();
    let Some(signed) = signed else {
        return refused(&mut state, now, "no OAuth parameters");
    };
    let Some(client_id) = verified(&mut state, &signed, "", now) else {
        return refused(&mut state, now, "wrong signature");
    };
    let callback = signed.get("oauth_callback").to_owned();
    let known = state
        .grants
        .client(&client_id)
        .is_some_and(|client| client.accepts_redirect(&callback));
    if !known {
        return refused(&mut state, now, "wrong oauth_callback");
    }
    let flows = &mut state.oauth1.temporary;
    if flows.len() > CROWDED {
        flows.retain(|_, flow| flow.expires_at > now);
    }
    let flow = Temporary {
        secret: secret.clone(),
        client_id: client_id.clone(),
        callback,
        scope: String::new(),
        consented: None,
        expires_at: now.plus(TEMPORARY_LIFETIME),
    };
    flows.insert(token.clone(), flow);
    state.log.count(|total| total.temporary_credentials += 1);
    let event = Event::new("oauth1.begun").client(&client_id).token(&token);
    state.log.add(now, event);
    form_answer(&[
        ("oauth_token", &token),
        ("oauth_token_secret", &secret),
        ("oauth_callback_confirmed", "true"),
    ])
}

#[derive(Debug, Default, Deserialize)]
struct Params {
    #[serde(default)]
    oauth_token: String,
    /// Name of the application, as Trello takes it.
    #[serde(default)]
    name: String,
    /// Comma between them.
    #[serde(default)]
    scope: String,
}

#[derive(Template)]
#[template(path = "oauth1.html")]
struct Consent {
    params: Params,
    client: String,
    users: [User; 3],
    chosen: &'static str,
    scopes: Vec<String>,
    host: String,
}

async fn ask(State(provider): State<Provider>, Query(params): Query<Params>) -> Response {
    let now = provider.now();
    let state = provider.state();
    let Some(flow) = open(&state, &params.oauth_token, now) else {
        return unknown();
    };
    let callback = Url::parse(&flow.callback).ok();
    let [first, ..] = USERS;
    page(&Consent {
        client: flow.client_id.clone(),
        users: USERS,
        chosen: first.subject,
        scopes: params
            .scope
            .split(',')
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect(),
        host: callback
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default(),
        params,
    })
}

fn open<'a>(state: &'a ProviderState, token: &str, now: Timestamp) -> Option<&'a Temporary> {
    let flow = state.oauth1.temporary.get(token)?;
    (flow.expires_at > now && flow.consented.is_none()).then_some(flow)
}

fn unknown() -> Response {
    let text = "The request token is unknown, expired or used. Start again in the application.";
    problem(StatusCode::BAD_REQUEST, "Unknown request", text)
}

async fn answer(State(provider): State<Provider>, Form(answer): Form<Answer<Params>>) -> Response {
    let verifier = provider.random("sp1v_");
    let now = provider.now();
    let mut state = provider.state();
    let token = answer.params.oauth_token;
    let Some(callback) = open(&state, &token, now).and_then(|flow| Url::parse(&flow.callback).ok())
    else {
        return unknown();
    };
    if answer.decision != "allow" {
        state.oauth1.temporary.remove(&token);
        state.log.count(|total| total.denials += 1);
        return back(
            callback,
            &[
                ("oauth_problem", "permission_denied"),
                ("oauth_token", &token),
            ],
        );
    }
    let (Some(user), Some(flow)) = (
        User::find(&answer.user),
        state.oauth1.temporary.get_mut(&token),
    ) else {
        let text = "Go back and choose one of the users.";
        return problem(StatusCode::BAD_REQUEST, "No such user", text);
    };
    flow.consented = Some((user.subject.to_owned(), verifier.clone()));
    flow.scope = answer.params.scope.replace(',', " ");
    let event = Event::new("oauth1.consented")
        .client(&flow.client_id)
        .subject(user.subject);
    state.log.count(|total| total.consents += 1);
    state.log.add(now, event);
    back(
        callback,
        &[("oauth_token", &token), ("oauth_verifier", &verifier)],
    )
}

fn back(mut callback: Url, parameters: &[(&str, &str)]) -> Response {
    callback.query_pairs_mut().extend_pairs(parameters);
    Redirect::to(callback.as_str()).into_response()
}

async fn access_token(State(provider): State<Provider>, request: Request) -> Response {
    let (token, secret) = (provider.random("sp1a_"), provider.random(""));
    let now = provider.now();
    let (_, signed) = read(request).await;
    let mut state = provider.state();
    let Some(signed) = signed else {
        return refused(&mut state, now, "no OAuth parameters");
    };
    let Some(temporary) = state.oauth1.temporary.get(signed.get("oauth_token")) else {
        return refused(&mut state, now, "unknown temporary token");
    };
    let (flow_secret, client_id) = (temporary.secret.clone(), temporary.client_id.clone());
    if verified(&mut state, &signed, &flow_secret, now).as_ref() != Some(&client_id) {
        return refused(&mut state, now, "wrong signature");
    }
    // Whatever comes next, the temporary token is spent (section 2.3).
    let Some(flow) = state.oauth1.temporary.remove(signed.get("oauth_token")) else {
        return refused(&mut state, now, "unknown temporary token");
    };
    let consented = flow
        .consented
        .filter(|(_, verifier)| flow.expires_at > now && verifier == signed.get("oauth_verifier"));
    let Some((subject, _)) = consented else {
        return refused(&mut state, now, "wrong oauth_verifier");
    };
    let event = Event::new("oauth1.issued")
        .client(&client_id)
        .subject(&subject)
        .token(&token);
    let entry = Token {
        secret: secret.clone(),
        client_id,
        subject,
        scope: flow.scope,
    };
    state.oauth1.tokens.insert(token.clone(), entry);
    state.grants.changed();
    state.log.count(|total| total.oauth1_tokens += 1);
    state.log.add(now, event);
    form_answer(&[("oauth_token", &token), ("oauth_token_secret", &secret)])
}
