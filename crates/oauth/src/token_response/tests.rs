use super::{TokenPaths, TokenResponse, parse_refresh_response, parse_token_response};
use crate::{Answer, BodyProblem, TokenFailure};
use proptest::prelude::*;
use std::time::Duration;

fn answer<'a>(content_type: &'a str, body: &'a str) -> Answer<'a> {
    Answer {
        status: 200,
        content_type: Some(content_type),
        body: body.as_bytes(),
    }
}

fn parse(body: &str) -> Result<TokenResponse, TokenFailure> {
    parse_token_response(&answer("application/json", body), &TokenPaths::default())
}

fn problem(content_type: &str, body: &str) -> String {
    match parse_token_response(&answer(content_type, body), &TokenPaths::default()) {
        Err(TokenFailure::Malformed(problem)) => problem.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_standard_response_is_read() {
    let tokens = parse(
        r#"{"access_token":"at","refresh_token":"rt","id_token":"a.b.c","token_type":"Bearer","expires_in":3600,"scope":"a b"}"#,
    )
    .unwrap();
    assert_eq!(tokens.access_token.expose(), "at");
    assert_eq!(tokens.refresh_token.as_ref().unwrap().expose(), "rt");
    assert_eq!(tokens.id_token.as_ref().unwrap().expose(), "a.b.c");
    assert_eq!(tokens.token_type.as_deref(), Some("Bearer"));
    assert_eq!(tokens.expires_in, Some(Duration::from_hours(1)));
    assert_eq!(
        tokens.scopes.as_deref(),
        Some(["a".to_owned(), "b".into()].as_slice())
    );
    assert!(!format!("{tokens:?}").contains("at\""));
}

#[test]
fn forms_are_read_whatever_the_content_type() {
    for content_type in [
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/octet-stream",
    ] {
        let body = "access_token=a%2Bt&expires_in=60&scope=repo%2Cgist&token_type=bearer";
        let tokens =
            parse_token_response(&answer(content_type, body), &TokenPaths::default()).unwrap();
        assert_eq!(tokens.access_token.expose(), "a+t");
        assert_eq!(tokens.expires_in, Some(Duration::from_mins(1)));
        assert_eq!(tokens.scopes.unwrap(), ["repo", "gist"]);
    }
    let tokens = parse_token_response(
        &answer("text/html", "\u{feff} {\"access_token\":\"at\"}"),
        &TokenPaths::default(),
    );
    assert_eq!(tokens.unwrap().access_token.expose(), "at");
}

#[test]
fn lifetimes_come_in_many_forms() {
    let cases = [
        ("3600", Some(3600)),
        ("3600.9", Some(3600)),
        (r#""3600""#, Some(3600)),
        (r#"" 60 ""#, Some(60)),
        ("0", None),
        (r#""""#, None),
        ("null", None),
        // What leads past the end of the calendar is cut to ten years.
        ("315360001", Some(315_360_000)),
        ("18446744073709551615", Some(315_360_000)),
    ];
    for (text, expected) in cases {
        let tokens = parse(&format!(r#"{{"access_token":"at","expires_in":{text}}}"#)).unwrap();
        assert_eq!(
            tokens.expires_in,
            expected.map(Duration::from_secs),
            "{text}"
        );
    }
}

#[test]
fn scopes_come_in_many_forms() {
    let cases = [
        (r#""a b""#, Some(vec!["a", "b"])),
        (r#""a, b,,c""#, Some(vec!["a", "b", "c"])),
        (r#"["a","b c"]"#, Some(vec!["a", "b c"])),
        (r#""""#, None),
        ("[]", None),
        ("null", None),
    ];
    for (text, expected) in cases {
        let tokens = parse(&format!(r#"{{"access_token":"at","scope":{text}}}"#)).unwrap();
        let expected = expected.map(|list| list.into_iter().map(String::from).collect::<Vec<_>>());
        assert_eq!(tokens.scopes, expected, "{text}");
    }
}

fn slack() -> TokenPaths {
    TokenPaths {
        access_token: "authed_user.access_token".into(),
        refresh_token: "authed_user.refresh_token".into(),
        expires_in: "authed_user.expires_in".into(),
        scope: "authed_user.scope".into(),
        other: vec!["team.id".into(), "enterprise.id".into()],
    }
}

#[test]
fn nested_tokens_are_found_and_never_confused_with_the_top_level() {
    let body = r#"{"ok":true,"access_token":"xoxb","team":{"id":"T1"},"enterprise":null,
        "authed_user":{"access_token":"xoxp","refresh_token":"xoxe","expires_in":43200,"scope":"a,b"}}"#;
    let tokens = parse_token_response(&answer("application/json", body), &slack()).unwrap();
    assert_eq!(tokens.access_token.expose(), "xoxp");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "xoxe");
    assert_eq!(tokens.scopes.unwrap(), ["a", "b"]);
    assert_eq!(
        tokens.other.into_iter().collect::<Vec<_>>(),
        [("team.id".to_owned(), "T1".to_owned())]
    );

    let flat = r#"{"ok":true,"access_token":"new","refresh_token":"newer","expires_in":43200}"#;
    let flat = answer("application/json", flat);
    let first = parse_token_response(&flat, &slack()).unwrap_err();
    assert_eq!(
        first,
        BodyProblem::Missing("authed_user.access_token".into()).into()
    );
    let refreshed = parse_refresh_response(&flat, &slack()).unwrap();
    assert_eq!(refreshed.access_token.expose(), "new");
    assert_eq!(refreshed.refresh_token.unwrap().expose(), "newer");
}

/// AK-221: a new refresh token is not thrown away for an odd part beside it.
#[test]
fn odd_parts_of_a_refresh_count_as_not_told() {
    let body = r#"{"access_token":"a","refresh_token":"r2","expires_in":{"seconds":5},"scope":7,"token_type":[],"id_token":1}"#;
    assert!(parse(body).is_err());
    let odd = parse_refresh_response(&answer("application/json", body), &TokenPaths::default());
    let odd = odd.unwrap();
    assert_eq!(odd.refresh_token.unwrap().expose(), "r2");
    assert_eq!(
        (odd.expires_in, odd.scopes, odd.token_type),
        (None, None, None)
    );
    let none = r#"{"access_token":["a"],"refresh_token":"r2"}"#;
    let none = parse_refresh_response(&answer("application/json", none), &TokenPaths::default());
    assert!(none.is_err());
}

#[test]
fn unusable_responses_say_exactly_what_is_wrong() {
    let json = "application/json";
    let cases = [
        (json, "", "the body is empty"),
        (json, "  \r\n", "the body is empty"),
        (
            "text/html",
            "<html>Sign in</html>",
            "the body is an HTML page; check the token URL",
        ),
        (
            json,
            "<!DOCTYPE html>",
            "the body is an HTML page; check the token URL",
        ),
        (
            "text/html; charset=utf-8",
            "Sign in",
            "the body is an HTML page; check the token URL",
        ),
        (
            json,
            r#"{"access_token":"a""#,
            "the body is not valid JSON (line 1, column 19)",
        ),
        (
            json,
            "access_token=a",
            "the body is not valid JSON (line 1, column 1)",
        ),
        (json, "[]", "the body is neither a JSON object nor a form"),
        (
            json,
            r#""token""#,
            "the body is neither a JSON object nor a form",
        ),
        (
            "text/plain",
            "OK",
            "the body is neither a JSON object nor a form",
        ),
        (
            "text/plain",
            "a b=c",
            "the body is neither a JSON object nor a form",
        ),
        (
            "text/plain",
            "access_token=a&access_token=b",
            "the field access_token occurs twice",
        ),
        (json, "{}", "the field access_token is missing"),
        (
            json,
            r#"{"access_token":null}"#,
            "the field access_token is missing",
        ),
        (
            json,
            r#"{"access_token":""}"#,
            "the field access_token is missing",
        ),
        (
            json,
            r#"{"access_token":5}"#,
            "the field access_token is a number, expected text",
        ),
        (
            json,
            r#"{"access_token":{"t":"a"}}"#,
            "the field access_token is an object, expected text",
        ),
        (
            json,
            r#"{"access_token":"a","refresh_token":["r"]}"#,
            "the field refresh_token is a list, expected text",
        ),
        (
            json,
            r#"{"access_token":"a","expires_in":"soon"}"#,
            "the field expires_in is text, expected a non-negative number of seconds",
        ),
        (
            json,
            r#"{"access_token":"a","expires_in":-1}"#,
            "the field expires_in is a number, expected a non-negative number of seconds",
        ),
        (
            json,
            r#"{"access_token":"a","expires_in":true}"#,
            "the field expires_in is a boolean, expected a non-negative number of seconds",
        ),
        (
            json,
            r#"{"access_token":"a","scope":{}}"#,
            "the field scope is an object, expected text or a list of texts",
        ),
        (
            json,
            r#"{"access_token":"a","scope":[1]}"#,
            "the field scope is a number, expected text or a list of texts",
        ),
        (
            json,
            r#"{"access_token":"a","token_type":1}"#,
            "the field token_type is a number, expected text",
        ),
        (
            json,
            "{\"access_token\":\"a\\r\\nX-Evil: 1\"}",
            "the field access_token holds characters that no token may have",
        ),
        (
            json,
            r#"{"access_token":"ä"}"#,
            "the field access_token holds characters that no token may have",
        ),
    ];
    for (content_type, body, expected) in cases {
        assert_eq!(problem(content_type, body), expected, "{body}");
    }
    let binary = Answer {
        status: 200,
        content_type: None,
        body: &[0xff, 0xfe],
    };
    let failure = parse_token_response(&binary, &TokenPaths::default()).unwrap_err();
    assert_eq!(failure, BodyProblem::NotText.into());
}

#[test]
fn server_errors_are_told_by_their_status() {
    let answer = Answer {
        status: 502,
        content_type: Some("text/html"),
        body: b"<h1>Bad gateway</h1>",
    };
    let failure = parse_token_response(&answer, &TokenPaths::default()).unwrap_err();
    assert_eq!(failure, TokenFailure::Status { status: 502 });
}

proptest! {
    #[test]
    fn no_body_makes_the_parser_fail_otherwise(
        status in 100_u16..600,
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let answer = Answer { status, content_type: None, body: &body };
        if let Ok(tokens) = parse_token_response(&answer, &slack()) {
            prop_assert!(!tokens.access_token.expose().is_empty());
        }
    }

    #[test]
    fn tokens_survive_both_formats(token in "[!-~]{1,60}") {
        let json = serde_json::json!({ "access_token": token }).to_string();
        let form = crate::encode::pairs([("access_token", token.as_str())]);
        for (content_type, body) in [("application/json", json), ("text/plain", form)] {
            let tokens = parse_token_response(&answer(content_type, &body), &TokenPaths::default()).unwrap();
            prop_assert_eq!(tokens.access_token.expose(), &token);
        }
    }
}
