//! Sign-in of members: an address, then the code from the mailbox.

use super::login::{LoginError, Visitor};
use crate::{
    Deps, cookies,
    csrf::{self, Posted},
    failure::{Failure, reference},
    form_data::FormData,
    render::{html, redirect, set_cookie},
    view::{Field, Form, Kind, SignInPage},
    visitor,
};
use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Extensions, HeaderMap, StatusCode, header};
use keystead_types::Secret;
use std::time::Duration;
use url::form_urlencoded::Serializer;

const PATH: &str = "/dashboard/sign-in";

/// Asks for the address.
pub(super) async fn ask(
    State(deps): State<Deps>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let back = return_to(query.as_deref());
    page(&deps, &headers, StatusCode::OK, |csrf| {
        email_page(csrf, &back, "", "")
    })
}

/// Sends the code.
pub(super) async fn start(
    State(deps): State<Deps>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    extensions: Extensions,
    Posted(form): Posted,
) -> Response {
    let back = return_to(query.as_deref());
    let email = form.text("email").to_owned();
    let wrong = |status, message: &str| {
        page(&deps, &headers, status, |csrf| {
            email_page(csrf, &back, &email, message)
        })
    };
    let looks_right = email.len() <= 320
        && email
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    let no_address = "Enter an e-mail address, such as ada@example.com.";
    if !looks_right && !email.ends_with("@localhost") {
        return wrong(StatusCode::UNPROCESSABLE_ENTITY, no_address);
    }
    let visitor = who(&headers, &extensions);
    match deps.login.start(&email, &visitor).await {
        Ok(attempt) => {
            let to = format!(
                "{PATH}/code?{}",
                Serializer::new(String::new())
                    .append_pair("return_to", &back)
                    .finish()
            );
            set_cookie(
                redirect(StatusCode::SEE_OTHER, &to),
                cookies::SIGN_IN,
                remembered(&attempt, &email).expose(),
            )
        }
        Err(LoginError::Internal(cause)) => internal(&deps, &cause),
        Err(LoginError::WrongCode) => wrong(StatusCode::UNPROCESSABLE_ENTITY, no_address),
        Err(LoginError::TooManyRequests(wait)) => later(wait, |wait| {
            let message = format!("Too many codes were asked for. Wait {wait} and try again.");
            wrong(StatusCode::TOO_MANY_REQUESTS, &message)
        }),
    }
}

/// Asks for the code.
pub(super) async fn ask_code(
    State(deps): State<Deps>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let Some((_, email)) = begun(&headers) else {
        return redirect(StatusCode::SEE_OTHER, PATH);
    };
    let back = return_to(query.as_deref());
    page(&deps, &headers, StatusCode::OK, |csrf| {
        code_page(csrf, &back, &email, "")
    })
}

/// Checks the code and begins the session.
pub(super) async fn finish(
    State(deps): State<Deps>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    extensions: Extensions,
    Posted(form): Posted,
) -> Response {
    let Some((attempt, email)) = begun(&headers) else {
        return redirect(StatusCode::SEE_OTHER, PATH);
    };
    let back = return_to(query.as_deref());
    let code: String = form
        .text("code")
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .collect();
    let wrong = |status, message: &str| {
        page(&deps, &headers, status, |csrf| {
            code_page(csrf, &back, &email, message)
        })
    };
    let visitor = who(&headers, &extensions);
    match deps.login.finish(&attempt, &code, &visitor).await {
        Ok(session) => {
            let response = redirect(StatusCode::SEE_OTHER, &back);
            let response = set_cookie(response, cookies::SESSION, session.token.expose());
            let mut response = set_cookie(response, cookies::DEVICE, session.device.expose());
            for cookie in [cookies::SIGN_IN, cookies::VISITOR] {
                response
                    .headers_mut()
                    .extend(cookie.clear().map(|value| (header::SET_COOKIE, value)));
            }
            response
        }
        Err(LoginError::WrongCode) => wrong(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The code is wrong or has expired. Check it, or ask for a new one.",
        ),
        Err(LoginError::TooManyRequests(wait)) => later(wait, |wait| {
            let message = format!("Too many tries. Wait {wait}, then ask for a new code.");
            wrong(StatusCode::TOO_MANY_REQUESTS, &message)
        }),
        Err(LoginError::Internal(cause)) => internal(&deps, &cause),
    }
}

/// Ends the session.
pub(super) async fn sign_out(
    State(deps): State<Deps>,
    headers: HeaderMap,
    Posted(_): Posted,
) -> Response {
    if let Some(session) = cookies::SESSION.read(&headers)
        && let Err(cause) = deps.login.sign_out(&session).await
    {
        return internal(&deps, &cause);
    }
    let mut response = redirect(StatusCode::SEE_OTHER, PATH);
    response.headers_mut().extend(
        cookies::SESSION
            .clear()
            .map(|value| (header::SET_COOKIE, value)),
    );
    response
}

fn who(headers: &HeaderMap, extensions: &Extensions) -> Visitor {
    Visitor {
        address: visitor::address(extensions),
        device: cookies::DEVICE.read(headers),
    }
}

/// Says how long to wait, on the page and in its header.
fn later(wait: Duration, page: impl FnOnce(&str) -> Response) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let text = match seconds.div_ceil(60) {
        0 | 1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    let mut response = page(&text);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, seconds.max(1).into());
    response
}

fn internal(deps: &Deps, cause: &keystead_types::Internal) -> Response {
    let reference = reference(deps);
    tracing::error!(%reference, %cause, "sign-in failed");
    Failure::Internal(reference).into_response()
}

/// Renders with a token for a browser nobody is signed in with.
fn page(
    deps: &Deps,
    headers: &HeaderMap,
    status: StatusCode,
    make: impl FnOnce(String) -> SignInPage,
) -> Response {
    let (csrf, cookie) = csrf::visitor(deps, headers);
    let response = html(status, &make(csrf));
    match cookie {
        Some(value) => set_cookie(response, cookies::VISITOR, &value),
        None => response,
    }
}

fn email_page(csrf: String, back: &str, email: &str, error: &str) -> SignInPage {
    let field = Field {
        autocomplete: "email",
        error: error.to_owned(),
        focus: error.is_empty(),
        max_length: 320,
        ..Field::new("email", "E-mail", Kind::Email)
            .required()
            .value(email)
    };
    SignInPage {
        title: "Sign in".to_owned(),
        lead: "We send a code to your e-mail address. No password needed.".to_owned(),
        form: form(PATH, back, csrf, "Send code").field(field),
        again: String::new(),
    }
}

fn code_page(csrf: String, back: &str, email: &str, error: &str) -> SignInPage {
    let field = Field {
        error: error.to_owned(),
        focus: error.is_empty(),
        max_length: 12,
        ..Field::new("code", "Code", Kind::Code).required()
    };
    SignInPage {
        title: "Check your mail".to_owned(),
        lead: format!(
            "If {email} belongs to a member, a code of eight digits is on its way. It works once and for a few minutes."
        ),
        form: form(&format!("{PATH}/code"), back, csrf, "Sign in").field(field),
        again: PATH.to_owned(),
    }
}

fn form(path: &str, back: &str, csrf: String, submit: &str) -> Form {
    let query = Serializer::new(String::new())
        .append_pair("return_to", back)
        .finish();
    Form {
        action: format!("{path}?{query}"),
        csrf,
        submit: submit.to_owned(),
        ..Form::default()
    }
}

/// Value of the cookie: the attempt, which binds the code to this browser, and the address to show.
fn remembered(attempt: &Secret<String>, email: &str) -> Secret<String> {
    Secret::new(format!(
        "{}.{}",
        attempt.expose(),
        URL_SAFE_NO_PAD.encode(email)
    ))
}

/// The sign-in this browser began.
fn begun(headers: &HeaderMap) -> Option<(Secret<String>, String)> {
    let cookie = cookies::SIGN_IN.read(headers)?;
    let (attempt, email) = cookie.expose().rsplit_once('.')?;
    let email = String::from_utf8(URL_SAFE_NO_PAD.decode(email).ok()?).ok()?;
    Some((Secret::new(attempt.to_owned()), email))
}

/// Where to go after sign-in.
///
/// SECURITY: only a path of ours. `//host`, `/\host` and anything with control characters would
/// lead a member who has just signed in to another site.
fn return_to(query: Option<&str>) -> String {
    let query = FormData::parse(query.unwrap_or_default().as_bytes());
    let path = query.text("return_to");
    let ours = path.starts_with("/dashboard") || path.starts_with("/connect/verify?");
    let clean = path.len() <= 2_048
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && !path.contains("//");
    if ours && clean {
        path.to_owned()
    } else {
        "/dashboard".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::return_to;

    #[test]
    fn only_our_own_pages_are_returned_to() {
        for bad in [
            "https://evil.test",
            "//evil.test",
            "/%5Cevil.test",
            "/dashboard//evil.test",
            "/dashboard%0d%0aX:%20y",
            "/oauth/connect?token=1",
            "",
        ] {
            assert_eq!(
                return_to(Some(&format!("return_to={bad}"))),
                "/dashboard",
                "{bad}"
            );
        }
        assert_eq!(
            return_to(Some("return_to=%2Fdashboard%2Fenv_1%2Fconnections%3Fq%3Dx")),
            "/dashboard/env_1/connections?q=x"
        );
        assert_eq!(
            return_to(Some("return_to=/connect/verify?request%3Da")),
            "/connect/verify?request=a"
        );
    }
}
