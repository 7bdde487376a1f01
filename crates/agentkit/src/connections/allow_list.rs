//! Which calls the proxy makes on a connection (AK-460).
//!
//! `context.proxy_allow` is a list of `METHOD /path` rules. `*` stands for any method, for one
//! segment of a path, and at its end for everything below. A rule for another host of the provider
//! (AK-461) names it: `POST //upload.box.com/api/*`. Without the setting all calls are made.

use super::ConnectionSettings;
use crate::{Error, error::Result};
use http::Method;
use serde_json::Value;

const SETTING: &str = "proxy_allow";

impl ConnectionSettings {
    /// Whether only some calls are made.
    pub(crate) fn limits_calls(&self) -> bool {
        self.context.contains_key(SETTING)
    }

    /// # Errors
    /// [`Error::TargetNotAllowed`] when no rule covers the call.
    pub(crate) fn require_allowed(&self, method: &Method, path: &str) -> Result<()> {
        let Some(rules) = self.context.get(SETTING) else {
            return Ok(());
        };
        // SECURITY: what is not a list of rules allows nothing.
        let rules = rules.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut rules = rules.iter().filter_map(Value::as_str).filter_map(parse);
        if rules.any(|(verb, pattern)| {
            (verb == "*" || verb == method.as_str()) && covers(pattern, path)
        }) {
            return Ok(());
        }
        Err(Error::TargetNotAllowed(
            "the connection does not allow this method and path (proxy_allow)".to_owned(),
        ))
    }
}

fn parse(rule: &str) -> Option<(&str, &str)> {
    let (verb, pattern) = rule.split_once(' ')?;
    let legal = verb == "*" || verb.bytes().all(|byte| byte.is_ascii_uppercase());
    (legal && !verb.is_empty() && pattern.starts_with('/')).then_some((verb, pattern))
}

/// SECURITY: compared as sent. A path that spells a letter as `%67` or holds an empty segment fits
/// no plain rule, and dot segments are refused before.
fn covers(pattern: &str, path: &str) -> bool {
    let mut given = path.split('/');
    let mut wanted = pattern.split('/').peekable();
    while let Some(part) = wanted.next() {
        let last = wanted.peek().is_none();
        match given.next() {
            None => return false,
            Some(segment) if part == "*" => {
                if last {
                    return !segment.is_empty();
                }
                if segment.is_empty() {
                    return false;
                }
            }
            Some(segment) if part != segment => return false,
            Some(_) => {}
        }
    }
    given.next().is_none()
}

/// Checks the setting before it is stored.
///
/// # Errors
/// [`Error::Invalid`] naming the rule.
pub(super) fn check(settings: &ConnectionSettings) -> Result<()> {
    let Some(rules) = settings.context.get(SETTING) else {
        return Ok(());
    };
    let wrong = |why: &str| Err(Error::field("context.proxy_allow", why));
    let Some(rules) = rules.as_array() else {
        return wrong("must be a list of rules");
    };
    match rules
        .iter()
        .find(|rule| rule.as_str().and_then(parse).is_none())
    {
        None => Ok(()),
        Some(rule) => wrong(&format!("{rule} is not of the form `METHOD /path`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn allows(rules: &Value, method: &Method, path: &str) -> bool {
        let mut settings = ConnectionSettings::default();
        settings.context.insert(SETTING.to_owned(), rules.clone());
        settings.require_allowed(method, path).is_ok()
    }

    /// AK-460
    #[test]
    fn rules_cover_methods_and_paths() {
        let rules = json!([
            "GET /gmail/v1/users/me/*",
            "* /v1/*/status",
            "POST /send",
            "PUT //upload.box.com/*"
        ]);
        for (method, path, expected) in [
            (Method::GET, "/gmail/v1/users/me/messages", true),
            (Method::GET, "/gmail/v1/users/me/messages/1", true),
            (Method::GET, "/gmail/v1/users/me", false),
            (Method::GET, "/gmail/v1/users/me/", false),
            (Method::POST, "/gmail/v1/users/me/messages", false),
            (Method::GET, "/gmail/v1/users/you/messages", false),
            (Method::GET, "/%67mail/v1/users/me/messages", false),
            (Method::DELETE, "/v1/7/status", true),
            (Method::DELETE, "/v1/7/8/status", false),
            (Method::DELETE, "/v1//status", false),
            (Method::POST, "/send", true),
            (Method::POST, "/send/more", false),
            (Method::POST, "//send", false),
            (Method::PUT, "//upload.box.com/2.0/files", true),
            (Method::GET, "//upload.box.com/2.0/files", false),
            (Method::PUT, "//api.box.com/2.0/files", false),
        ] {
            assert_eq!(allows(&rules, &method, path), expected, "{method} {path}");
        }
        assert!(
            !allows(&json!([]), &Method::GET, "/"),
            "an empty list allows nothing"
        );
        assert!(!allows(&json!("GET /*"), &Method::GET, "/x"));
        assert!(!allows(
            &json!(["* /*", "* /*/*"]),
            &Method::GET,
            "//upload.box.com/x"
        ));
        assert!(
            ConnectionSettings::default()
                .require_allowed(&Method::GET, "/x")
                .is_ok()
        );
    }

    /// AK-460
    #[test]
    fn rules_are_checked_before_they_are_stored() {
        for (rules, expected) in [
            (json!(["GET /a", "* /*"]), true),
            (json!(["/a"]), false),
            (json!(["get /a"]), false),
            (json!(["GET a"]), false),
            (json!([1]), false),
            (json!("GET /a"), false),
        ] {
            let mut settings = ConnectionSettings::default();
            settings.context.insert(SETTING.to_owned(), rules.clone());
            assert_eq!(check(&settings).is_ok(), expected, "{rules}");
        }
    }
}
