//! `{{name}}` templates in provider URLs and headers (AK-012, AK-471).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use url::Host;

/// Characters a path segment may hold unescaped (RFC 3986 unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A template could not be filled.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TemplateError {
    /// The account has no value for the variable.
    #[error("the URL template needs a value for `{0}`; set it on the connected account")]
    Missing(String),
    /// The value is not a host or segment.
    #[error("the value of `{name}` is not valid: {why}")]
    Invalid {
        /// Variable.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The host is outside the provider's allow-list.
    #[error("the host `{0}` is not one of the provider's hosts")]
    HostNotAllowed(String),
    /// The filled text is no URL.
    #[error("the filled URL is not valid")]
    NotAUrl,
}

/// Values by variable name.
pub(crate) type Values = BTreeMap<String, String>;

/// Collects the template values of an account: top level keys and `path_variables`.
pub(crate) fn values_of(sources: &[&Map<String, Value>]) -> Values {
    let mut values = Values::new();
    for source in sources {
        let nested = source.get("path_variables").and_then(Value::as_object);
        for map in std::iter::once(*source).chain(nested) {
            for (key, value) in map {
                let text = match value {
                    Value::String(text) => text.trim().to_owned(),
                    Value::Number(number) => number.to_string(),
                    _ => continue,
                };
                if !text.is_empty() {
                    values.insert(key.clone(), text);
                }
            }
        }
    }
    values
}

/// Names of the variables of a template, in order, with repetition.
pub(crate) fn variables(template: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = template;
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((name, tail)) = after.split_once("}}") else {
            break;
        };
        names.push(name.trim());
        rest = tail;
    }
    names
}

/// Where the path begins.
fn host_end(template: &str) -> usize {
    template.find("://").map_or(0, |at| {
        at + 3
            + template
                .get(at + 3..)
                .and_then(|rest| rest.find('/'))
                .unwrap_or(template.len() - at - 3)
    })
}

/// Fills a URL template. Values in the host part must be host names, others become one
/// percent-encoded segment; so a value can never change scheme, user, port or structure.
pub(crate) fn fill_url(template: &str, values: &Values) -> Result<String, TemplateError> {
    let host_end = host_end(template);
    fill(template, values, |name, value, position| {
        if position < host_end {
            // SECURITY: a value such as `evil.com/` or `user@evil.com` must not move the request.
            check_host(name, value)?;
            Ok(value.to_ascii_lowercase())
        } else {
            check_segment(name, value)?;
            Ok(utf8_percent_encode(value, SEGMENT).to_string())
        }
    })
}

/// Fills a header template with raw values; control characters are refused.
pub(crate) fn fill_header(template: &str, values: &Values) -> Result<String, TemplateError> {
    fill(template, values, |name, value, _| {
        if value.chars().any(char::is_control) {
            return Err(invalid(name, "it holds control characters"));
        }
        Ok(value.to_owned())
    })
}

fn fill(
    template: &str,
    values: &Values,
    encode: impl Fn(&str, &str, usize) -> Result<String, TemplateError>,
) -> Result<String, TemplateError> {
    let mut filled = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, tail)) = after.split_once("}}") else {
            break;
        };
        filled.push_str(before);
        let name = name.trim();
        let value = values
            .get(name)
            .ok_or_else(|| TemplateError::Missing(name.to_owned()))?;
        filled.push_str(&encode(
            name,
            value,
            template.len() - rest.len() + before.len(),
        )?);
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn check_host(name: &str, value: &str) -> Result<(), TemplateError> {
    let plain = value.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    if !plain {
        return Err(invalid(
            name,
            "it must be a host name without scheme, port, path or user",
        ));
    }
    match Host::parse(value) {
        Ok(Host::Domain(_) | Host::Ipv4(_)) => Ok(()),
        _ => Err(invalid(name, "it must be a host name")),
    }
}

fn check_segment(name: &str, value: &str) -> Result<(), TemplateError> {
    // SECURITY: some servers decode `%2F`, even twice, before they walk up; Java's take path parameters
    // off first, so `..;a=b` climbs there.
    let climbs = |value: &str| {
        let mut parts = value.split(['/', '\\']);
        parts.any(|part| matches!(part.split(';').next(), Some("." | "..")))
    };
    let mut decoded = value.to_owned();
    for _ in 0..3 {
        if climbs(&decoded) {
            return Err(invalid(name, "it must not hold a dot segment"));
        }
        decoded = percent_encoding::percent_decode_str(&decoded)
            .decode_utf8_lossy()
            .into_owned();
    }
    if value.chars().any(char::is_control) {
        return Err(invalid(name, "it holds control characters"));
    }
    Ok(())
}

fn invalid(name: &str, why: &'static str) -> TemplateError {
    TemplateError::Invalid {
        name: name.to_owned(),
        why,
    }
}

/// Whether `host` is covered by a list of hosts; `*.example.com` covers subdomains only and `*`
/// everything.
pub(crate) fn host_allowed(host: &str, allowed: &[String]) -> bool {
    let host = host.to_ascii_lowercase();
    allowed.iter().any(|pattern| {
        let pattern = pattern.to_ascii_lowercase();
        match pattern.strip_prefix("*.") {
            Some(parent) => host
                .strip_suffix(parent)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            None => pattern == "*" || pattern == host,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// AK-012
    #[test]
    fn fills_hosts_and_segments() {
        let values = values(&[("domain", "Acme.example.com"), ("version", "v2 beta")]);
        assert_eq!(
            fill_url("https://{{domain}}/api/{{ version }}", &values).unwrap(),
            "https://acme.example.com/api/v2%20beta"
        );
    }

    /// AK-012
    #[test]
    fn a_missing_value_is_named() {
        assert_eq!(
            fill_url("https://{{domain}}", &Values::new()),
            Err(TemplateError::Missing("domain".to_owned()))
        );
    }

    /// AK-471
    #[test]
    fn a_value_cannot_leave_its_place() {
        for host in [
            "evil.com/",
            "a@evil.com",
            "evil.com:8080",
            "https://evil.com",
            "evil.com#",
            "evil.com?x",
            "evil.com\\",
            "a b",
            "",
            "..",
            "[::1]",
            "ev%69l.com",
        ] {
            let result = fill_url("https://{{domain}}/x", &values(&[("domain", host)]));
            assert!(result.is_err(), "{host}: {result:?}");
        }
        for (value, filled) in [("a/b", "a%2Fb"), ("?x", "%3Fx"), ("50%", "50%25")] {
            let result = fill_url("https://h/{{v}}/x", &values(&[("v", value)]));
            assert_eq!(result.unwrap(), format!("https://h/{filled}/x"));
        }
        for value in [
            "..",
            ".",
            "../x",
            "x/../y",
            "x\\..",
            "./x",
            "..;",
            "..;a=b",
            "%2e%2e",
            ".%2e",
            "..%2f..",
            "%252e%252e",
        ] {
            let result = fill_url("https://h/{{v}}", &values(&[("v", value)]));
            assert!(result.is_err(), "{value}");
        }
    }

    /// AK-008b, AK-025
    #[test]
    fn host_lists_cover_subdomains_only_with_a_star() {
        let allowed = ["*.zendesk.com".to_owned(), "api.box.com".to_owned()];
        for (host, expected) in [
            ("acme.zendesk.com", true),
            ("ACME.Zendesk.com", true),
            ("zendesk.com", false),
            ("evilzendesk.com", false),
            (".zendesk.com", false),
            ("api.box.com", true),
            ("x.api.box.com", false),
        ] {
            assert_eq!(host_allowed(host, &allowed), expected, "{host}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_value_the_host_and_depth_stay(value in "\\PC*") {
            if let Ok(filled) = fill_url("https://fixed.example/a/{{v}}/b", &values(&[("v", &value)])) {
                let url = url::Url::parse(&filled).unwrap();
                prop_assert_eq!(url.host_str(), Some("fixed.example"));
                prop_assert_eq!(url.path_segments().unwrap().count(), 3);
                prop_assert!(url.query().is_none() && url.fragment().is_none());
            }
        }

        #[test]
        fn whatever_the_host_value_there_is_no_user_port_or_path(value in "\\PC*") {
            if let Ok(filled) = fill_url("https://{{v}}/b", &values(&[("v", &value)])) {
                let url = url::Url::parse(&filled).unwrap();
                prop_assert!(url.username().is_empty() && url.password().is_none() && url.port().is_none());
                prop_assert_eq!(url.path(), "/b");
            }
        }
    }
}
