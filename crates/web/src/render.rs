//! Answers made of views.

use crate::{
    cookies::{Cookie, Tag},
    failure::Failure,
};
use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// A page.
pub(crate) fn html(status: StatusCode, page: &impl Template) -> Response {
    match text(page) {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page does not render");
            Failure::Internal(String::new()).into_response()
        }
    }
}

/// The text of a page.
pub(crate) fn text(page: &impl Template) -> askama::Result<String> {
    Ok(in_reading_order(page.render()?))
}

/// Characters that change the order in which what follows them is shown (Unicode Annex 9, section 2).
const DIRECTIONS: [char; 9] = [
    '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}',
    '\u{2069}',
];

/// Shows a mark in place of characters that turn text around, wherever a page shows text. Letters of
/// languages that are written from right to left need none of them; the stylesheet keeps those apart
/// from what stands beside them.
///
/// SECURITY: names and identifiers come from users. With such a character, one can look like
/// another, or turn our own words beside it around. Here, because every page passes: a template or a
/// sentence that forgets is none. What a form holds stays as it is, or saving would change it.
fn in_reading_order(page: String) -> String {
    if !page.contains(DIRECTIONS) {
        return page;
    }
    let mut shown = String::with_capacity(page.len());
    let (mut rest, mut is_editable) = (page.as_str(), false);
    let mut show = |text: &str, is_editable| {
        if is_editable {
            shown.push_str(text);
        } else {
            shown.extend(text.chars().map(|c| {
                if DIRECTIONS.contains(&c) {
                    '\u{fffd}'
                } else {
                    c
                }
            }));
        }
    };
    // Values are escaped, so these are the brackets of our own tags.
    while let Some((before, (tag, after))) = rest
        .split_once('<')
        .and_then(|(before, tag)| Some((before, tag.split_once('>')?)))
    {
        show(before, is_editable);
        for part in ["<", tag, ">"] {
            show(part, true);
        }
        is_editable = tag.starts_with("textarea");
        rest = after;
    }
    show(rest, is_editable);
    shown
}

/// Sends the browser elsewhere.
pub(crate) fn redirect(status: StatusCode, to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => (status, [(header::LOCATION, to)]).into_response(),
        Err(_) => Failure::Internal(String::new()).into_response(),
    }
}

/// Adds a cookie.
pub(crate) fn set_cookie(mut response: Response, cookie: Cookie, value: &str) -> Response {
    match cookie.set(value) {
        Some(header) => {
            response.headers_mut().append(header::SET_COOKIE, header);
            response
        }
        None => Failure::Internal(String::new()).into_response(),
    }
}

/// Adds the cookie of one flow or link to the answer to a request with `headers`.
pub(crate) fn set_tagged(
    mut response: Response,
    headers: &HeaderMap,
    cookie: Cookie,
    tag: Option<&Tag>,
    value: &str,
) -> Response {
    match tag.and_then(|tag| cookie.set_tagged(headers, tag, value)) {
        Some(lines) => {
            for line in lines {
                response.headers_mut().append(header::SET_COOKIE, line);
            }
            response
        }
        None => Failure::Internal(String::new()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::in_reading_order;

    #[test]
    fn text_is_not_turned_around_and_forms_keep_what_they_hold() {
        for (page, shown) in [
            ("<p>a\u{202e}b</p>", "<p>a\u{fffd}b</p>"),
            (
                "\u{2066}a<b>\u{2069}</b>\u{202a}",
                "\u{fffd}a<b>\u{fffd}</b>\u{fffd}",
            ),
            (
                "<input value=\"a\u{202e}b\">\u{202d}",
                "<input value=\"a\u{202e}b\">\u{fffd}",
            ),
            (
                "<textarea id=\"x\">a\u{202e}</textarea><p>\u{202e}</p>",
                "<textarea id=\"x\">a\u{202e}</textarea><p>\u{fffd}</p>",
            ),
            ("<p>שלום (3) a\u{200f}</p>", "<p>שלום (3) a\u{200f}</p>"),
            ("a < b\u{202e}", "a < b\u{fffd}"),
        ] {
            assert_eq!(in_reading_order(page.to_owned()), shown);
        }
    }
}
