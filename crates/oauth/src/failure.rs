use crate::document::{Answer, BodyProblem, Document};
use serde_json::Value;

/// Whether asking again can help (AK-224).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureKind {
    /// The grant is gone: only the user can help, by authorizing again.
    Definitive,
    /// The provider is busy or broken: keep the grant and try again later.
    Transient,
}

/// A token endpoint gave no token. Safe to log and show: of the provider's words only the code is told.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TokenFailure {
    /// The provider refused, with a reason (RFC 6749, section 5.2).
    #[error("the provider refused with {code} (HTTP {status})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// `invalid_grant` and the like.
        code: String,
        /// The provider's explanation: a foreign text, which is not for logs and pages. It is cut, and
        /// what looks like a credential is removed.
        description: Option<String>,
    },
    /// An HTTP error without a reason.
    #[error("the provider answered with HTTP {status} and no OAuth error")]
    Status {
        /// HTTP status.
        status: u16,
    },
    /// Success that makes no sense.
    #[error("the provider's token response cannot be used: {0}")]
    Malformed(#[from] BodyProblem),
}

/// Error codes by which a provider says that it is busy, whatever the HTTP status.
const BUSY: [&str; 13] = [
    "fatal_error",
    "internal_error",
    "internal_server_error",
    "rate_limit_exceeded",
    "rate_limited",
    "ratelimited",
    "request_timeout",
    "server_error",
    "service_unavailable",
    "slow_down",
    "temporarily_unavailable",
    "timeout",
    "too_many_requests",
];

impl TokenFailure {
    /// Whether asking again can help.
    ///
    /// A 2xx status with an error counts as 400, since some providers report all errors so.
    pub fn kind(&self) -> FailureKind {
        let Self::Refused { status, code, .. } = self else {
            return FailureKind::Transient;
        };
        let code = code.to_ascii_lowercase();
        let definitive = match status {
            429 | 500..=599 => false,
            200..=299 | 400 | 401 => !BUSY.contains(&code.as_str()),
            _ => matches!(code.as_str(), "invalid_grant" | "invalid_client"),
        };
        if definitive {
            FailureKind::Definitive
        } else {
            FailureKind::Transient
        }
    }

    /// Whether the client was refused, so that another way to authenticate it may help (AK-227).
    pub fn is_invalid_client(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code.eq_ignore_ascii_case("invalid_client"),
            Self::Status { status } => *status == 401,
            Self::Malformed(_) => false,
        }
    }
}

/// The refusal in an answer, if it is one.
pub(crate) fn refusal(answer: &Answer<'_>, document: &Document) -> Option<TokenFailure> {
    let code = error_code(document, answer.is_success())?;
    let description = [
        "error_description",
        "error.message",
        "error.error_description",
        "message",
    ]
    .into_iter()
    .find_map(|path| document.text(path).ok().flatten())
    .and_then(clean_text);
    Some(TokenFailure::Refused {
        status: answer.status,
        code,
        description,
    })
}

fn error_code(document: &Document, success: bool) -> Option<String> {
    let unnamed = || clean_code("");
    let code = match document.get("error") {
        None | Some(Value::Bool(false)) => None,
        Some(Value::String(code)) if code.is_empty() => None,
        Some(Value::String(code)) => Some(clean_code(code)),
        Some(Value::Object(_)) => {
            let named = ["error.type", "error.status", "error.code"]
                .into_iter()
                .find_map(|path| document.text(path).ok().flatten());
            Some(named.map_or_else(unnamed, clean_code))
        }
        Some(_) => Some(unnamed()),
    };
    let code = code.or_else(|| (document.get("ok") == Some(&Value::Bool(false))).then(unnamed));
    if success {
        return code;
    }
    code.or_else(|| {
        let text = |path| document.text(path).ok().flatten();
        // HubSpot names its refusals BAD_REFRESH_TOKEN, BAD_AUTH_CODE and so on in `status`.
        let status = text("status").filter(|status| status.starts_with("BAD_"));
        text("errorCode")
            .or(text("error_code"))
            .or(status)
            .map(clean_code)
    })
}

/// Keeps an error code only when it looks like one: it goes into logs and pages.
pub(crate) fn clean_code(code: &str) -> String {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if (1..=64).contains(&code.len()) && code.bytes().all(legal) {
        code.to_owned()
    } else {
        "unrecognized_error".to_owned()
    }
}

/// Makes a foreign text harmless: one line of at most 200 characters, none of which is invisible or
/// turns the direction, and no word that could be a credential, since some providers quote the
/// token they refuse.
pub(crate) fn clean_text(text: &str) -> Option<String> {
    let visible: String = text.chars().filter(|c| !is_format(*c)).collect();
    let words = visible
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty());
    let words: Vec<&str> = words
        .map(|word| if looks_secret(word) { "…" } else { word })
        .collect();
    let line: String = words.join(" ").chars().take(200).collect();
    (!line.is_empty()).then_some(line)
}

/// Unicode's category Cf, with the code points between its members that are not assigned.
const fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e007f}')
}

fn looks_secret(word: &str) -> bool {
    let longest = word
        .split(|c: char| !(c.is_ascii_alphanumeric() || "+/=_-.~%".contains(c)))
        .filter(|run| run.bytes().any(|b| b.is_ascii_digit()) || run.len() > 30)
        .map(str::len)
        .max();
    longest.is_some_and(|length| length >= 16)
}

#[cfg(test)]
mod tests {
    use super::{FailureKind, TokenFailure, clean_text};
    use crate::{Answer, TokenPaths, parse_token_response};

    fn failure(status: u16, body: &str) -> TokenFailure {
        let answer = Answer {
            status,
            content_type: None,
            body: body.as_bytes(),
        };
        parse_token_response(&answer, &TokenPaths::default()).unwrap_err()
    }

    /// AK-224.
    #[test]
    fn failures_are_told_apart() {
        use FailureKind::{Definitive, Transient};
        let cases = [
            (400, r#"{"error":"invalid_grant"}"#, Definitive),
            (401, r#"{"error":"invalid_client"}"#, Definitive),
            (400, r#"{"error":"invalid_scope"}"#, Definitive),
            (
                400,
                "error=invalid_grant&error_description=gone",
                Definitive,
            ),
            (403, r#"{"error":"invalid_grant"}"#, Definitive),
            (403, r#"{"error":"access_denied"}"#, Transient),
            (404, r#"{"error":"not_found"}"#, Transient),
            (
                200,
                r#"{"ok":false,"error":"invalid_refresh_token"}"#,
                Definitive,
            ),
            (200, "error=bad_refresh_token", Definitive),
            (200, r#"{"ok":false,"error":"ratelimited"}"#, Transient),
            (200, r#"{"ok":false}"#, Definitive),
            (400, r#"{"error":"temporarily_unavailable"}"#, Transient),
            (400, r#"{"error":"SERVER_ERROR"}"#, Transient),
            (
                400,
                r#"{"status":"BAD_REFRESH_TOKEN","message":"missing or unknown"}"#,
                Definitive,
            ),
            (
                400,
                r#"{"error":{"code":400,"status":"INVALID_ARGUMENT"}}"#,
                Definitive,
            ),
            (400, r#"{"status":"error"}"#, Transient),
            (400, "<html>bad request</html>", Transient),
            (400, "", Transient),
            (401, "Unauthorized", Transient),
            (429, r#"{"error":"invalid_grant"}"#, Transient),
            (500, r#"{"error":"invalid_grant"}"#, Transient),
            (503, "", Transient),
            (302, "", Transient),
            (200, "", Transient),
            (200, "<!doctype html>", Transient),
            (200, "{}", Transient),
        ];
        for (status, body, expected) in cases {
            let failure = failure(status, body);
            assert_eq!(failure.kind(), expected, "{status} {body}: {failure}");
        }
    }

    #[test]
    fn an_invalid_client_may_be_tried_in_another_way() {
        assert!(failure(401, r#"{"error":"invalid_client"}"#).is_invalid_client());
        assert!(failure(400, r#"{"error":"INVALID_CLIENT"}"#).is_invalid_client());
        assert!(failure(401, "").is_invalid_client());
        assert!(!failure(400, r#"{"error":"invalid_grant"}"#).is_invalid_client());
        assert!(!failure(400, "").is_invalid_client());
    }

    #[test]
    fn messages_are_precise_and_hold_no_credential() {
        let cases = [
            (
                r#"{"error":"invalid_grant","error_description":"Token ya29.a0AfH6SMBx1234567890 has been\r\nrevoked."}"#,
                "the provider refused with invalid_grant (HTTP 400)",
            ),
            (
                r#"{"error":"<script>alert(1)</script>"}"#,
                "the provider refused with unrecognized_error (HTTP 400)",
            ),
            (
                r#"{"error":{"message":"Bad code","type":"OAuthException"}}"#,
                "the provider refused with OAuthException (HTTP 400)",
            ),
            (
                "nope",
                "the provider answered with HTTP 400 and no OAuth error",
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(failure(400, body).to_string(), expected);
        }
        let TokenFailure::Refused { description, .. } = failure(400, cases[0].0) else {
            panic!("not a refusal")
        };
        assert_eq!(description.as_deref(), Some("Token … has been revoked."));
    }

    #[test]
    fn texts_are_cut_and_flattened() {
        assert_eq!(clean_text(" \r\n\t "), None);
        assert_eq!(clean_text("\u{202e}\u{200b}\u{feff}"), None);
        assert_eq!(
            clean_text("pay\u{200b}pal \u{202e}moc\u{2066}").as_deref(),
            Some("paypal moc")
        );
        assert_eq!(clean_text("a\u{0}b\nc").as_deref(), Some("a b c"));
        assert_eq!(clean_text(&"é ".repeat(500)).unwrap().chars().count(), 200);
        for secret in [
            "token=1//0gabcdefghijklmn",
            "('xoxe-1-My0xLTEyMzQ')",
            &"a".repeat(40),
        ] {
            assert_eq!(
                clean_text(&format!("no: {secret}")).as_deref(),
                Some("no: …"),
                "{secret}"
            );
        }
        assert_eq!(
            clean_text("AADSTS70008: the grant has expired").as_deref(),
            Some("AADSTS70008: the grant has expired")
        );
    }
}
