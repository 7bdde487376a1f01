//! What the log says of a call (AK-459).

use super::ProxyError;
use crate::{AgentKit, accounts::Grounds};
use http::{Method, Response};
use keystead_net::ResponseBody;
use keystead_store::entities::agentkit::ToolCall;
use keystead_types::{ExecutionId, Timestamp};
use tokio::time::Instant;

impl AgentKit {
    pub(super) fn log_call(
        &self,
        grounds: &Grounds,
        execution: ExecutionId,
        method: &Method,
        path: &str,
        (started_at, began): (Timestamp, Instant),
        outcome: &std::result::Result<Response<ResponseBody>, ProxyError>,
    ) {
        let (status, http_status, error_code) = match outcome {
            Ok(response) if response.status().as_u16() < 400 => {
                ("success", Some(response.status().as_u16()), "")
            }
            Ok(response) => ("provider_error", Some(response.status().as_u16()), ""),
            Err(error @ ProxyError::Upstream(_)) => {
                ("provider_error", None, error.reason().code().as_str())
            }
            Err(error) => ("platform_error", None, error.reason().code().as_str()),
        };
        let call = ToolCall {
            id: self.ctx().ids.next(&*self.ctx().clock),
            execution_id: execution,
            source: "PROXY".to_owned(),
            tool_name: tool_name(method, path),
            provider: grounds.provider.identifier.clone(),
            connection_id: grounds.connection.id,
            connection_name: grounds.connection.key_id.clone(),
            account_id: grounds.account.id,
            identifier: grounds.account.identifier.clone(),
            status: status.to_owned(),
            http_status: http_status.map(i64::from),
            error_code: error_code.to_owned(),
            duration_micros: i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX),
            started_at,
        };
        self.calls().add(grounds.environment, call);
    }
}

/// Bytes of a name that are kept.
const MAX_NAME: usize = 200;

/// Method and path without what looks like an id, so that rows group and hold no personal data.
fn tool_name(method: &Method, path: &str) -> String {
    let segments: Vec<&str> = path
        .split('/')
        .map(|segment| {
            let opaque = segment.len() > 24
                || segment.contains(['@', '%'])
                || segment.bytes().any(|b| b.is_ascii_digit());
            if opaque && !is_version(segment) {
                "{id}"
            } else {
                segment
            }
        })
        .collect();
    let mut name = format!("{method} {}", segments.join("/"));
    // A path is as long as the caller likes.
    name.truncate(name.floor_char_boundary(MAX_NAME));
    name
}

fn is_version(segment: &str) -> bool {
    let digits = segment.strip_prefix('v').unwrap_or(segment);
    let marked = segment.starts_with('v') || segment.contains('.');
    marked
        && segment.len() <= 6
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AK-459
    #[test]
    fn logged_names_hold_no_ids() {
        for (path, expected) in [
            (
                "/gmail/v1/users/me/messages",
                "GET /gmail/v1/users/me/messages",
            ),
            ("/users/12345", "GET /users/{id}"),
            ("/users/ada@example.com/x", "GET /users/{id}/x"),
            ("/1.0/users/me", "GET /1.0/users/me"),
        ] {
            assert_eq!(tool_name(&Method::GET, path), expected);
        }
    }

    /// Part of AK-459: rows of the log have a bound, whatever path is asked for.
    #[test]
    fn logged_names_are_short() {
        let name = tool_name(&Method::GET, &"/a".repeat(4000));
        assert_eq!((name.len(), &name[..8]), (MAX_NAME, "GET /a/a"));
        // A character of two bytes would be cut in half.
        let name = tool_name(&Method::GET, &"/ü".repeat(100));
        assert_eq!(name, format!("GET {}/", "/ü".repeat(65)));
    }
}
