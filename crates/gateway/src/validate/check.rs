//! One check of one value.

use prost_reflect::{EnumDescriptor, Value};
use regex::Regex;
use std::sync::LazyLock;

/// A compiled rule.
#[derive(Debug)]
pub(super) enum Check {
    Below(i128),
    AtMost(i128),
    Above(i128),
    AtLeast(i128),
    OneOf(Vec<i128>),
    NoneOf(Vec<i128>),
    MinLen(u64),
    MaxLen(u64),
    MinBytes(u64),
    MaxBytes(u64),
    Prefix(String),
    Suffix(String),
    Pattern(Regex, Option<String>),
    TextIn(Vec<String>),
    TextNotIn(Vec<String>),
    Email(Option<String>),
    Uri,
    Defined(EnumDescriptor),
    EnumIn(Vec<i32>),
    EnumNotIn(Vec<i32>),
    MinItems(u64),
    MaxItems(u64),
    Unique,
    MinPairs(u64),
    MaxPairs(u64),
    Shorter(i128),
    NoLonger(i128),
    Longer(i128),
    NoShorter(i128),
    TypeNotIn(&'static [i32], String),
}

/// What is wrong, and the name of the rule.
type Broken = (String, &'static str);

#[expect(clippy::unwrap_used, reason = "constant patterns, compiled by a test")]
static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
    Regex::new(&format!(
        r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{label}(?:\.{label})*$"
    ))
    .unwrap()
});

#[expect(clippy::unwrap_used, reason = "constant patterns, compiled by a test")]
static URI: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^[a-zA-Z][a-zA-Z0-9+.-]*:(?:[a-zA-Z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9a-fA-F]{2})+$",
    )
    .unwrap()
});

impl Check {
    /// Whether `value` holds to the rule. A value of another type than the rule's does: the
    /// contract compiler has made sure that cannot be.
    pub(super) fn run(&self, value: &Value) -> Result<(), Broken> {
        let failed = match self {
            Self::Below(_)
            | Self::AtMost(_)
            | Self::Above(_)
            | Self::AtLeast(_)
            | Self::OneOf(_)
            | Self::NoneOf(_) => self.number(value),
            Self::Defined(_) | Self::EnumIn(_) | Self::EnumNotIn(_) => self.number_of_enum(value),
            Self::MinItems(_)
            | Self::MaxItems(_)
            | Self::Unique
            | Self::MinPairs(_)
            | Self::MaxPairs(_) => self.collection(value),
            Self::Shorter(_) | Self::NoLonger(_) | Self::Longer(_) | Self::NoShorter(_) => {
                self.span(value)
            }
            Self::TypeNotIn(forbidden, message) => {
                let kind = value
                    .as_message()
                    .and_then(|inner| inner.get_field_by_name("type")?.as_enum_number());
                kind.is_some_and(|kind| forbidden.contains(&kind))
                    .then(|| (message.clone(), "cel"))
            }
            _ => self.text(value),
        };
        failed.map_or(Ok(()), Err)
    }

    fn number(&self, value: &Value) -> Option<Broken> {
        let number: i128 = match value {
            Value::I32(number) => (*number).into(),
            Value::I64(number) => (*number).into(),
            Value::U32(number) => (*number).into(),
            Value::U64(number) => (*number).into(),
            _ => return None,
        };
        match self {
            Self::Below(limit) if number >= *limit => {
                Some((format!("must be less than {limit}"), "number.lt"))
            }
            Self::AtMost(limit) if number > *limit => {
                Some((format!("must be at most {limit}"), "number.lte"))
            }
            Self::Above(limit) if number <= *limit => {
                Some((format!("must be greater than {limit}"), "number.gt"))
            }
            Self::AtLeast(limit) if number < *limit => {
                Some((format!("must be at least {limit}"), "number.gte"))
            }
            Self::OneOf(set) if !set.contains(&number) => {
                Some((format!("must be one of {}", list(set)), "number.in"))
            }
            Self::NoneOf(set) if set.contains(&number) => {
                Some((format!("must not be one of {}", list(set)), "number.not_in"))
            }
            _ => None,
        }
    }

    fn number_of_enum(&self, value: &Value) -> Option<Broken> {
        let number = value.as_enum_number()?;
        match self {
            Self::Defined(kind) if kind.get_value(number).is_none() => Some((
                format!("must be a value of {}", kind.name()),
                "enum.defined_only",
            )),
            Self::EnumIn(set) if !set.contains(&number) => {
                Some(("must be one of the allowed values".to_owned(), "enum.in"))
            }
            Self::EnumNotIn(set) if set.contains(&number) => Some((
                "must be one of the allowed values".to_owned(),
                "enum.not_in",
            )),
            _ => None,
        }
    }

    fn text(&self, value: &Value) -> Option<Broken> {
        let text = value.as_str()?;
        let length = || text.chars().count() as u64;
        let bytes = text.len() as u64;
        match self {
            Self::MinLen(1) if text.is_empty() => {
                Some(("must not be empty".to_owned(), "string.min_len"))
            }
            Self::MinLen(limit) if length() < *limit => Some((
                format!("must have at least {limit} characters"),
                "string.min_len",
            )),
            Self::MaxLen(limit) if length() > *limit => Some((
                format!("must have at most {limit} characters"),
                "string.max_len",
            )),
            Self::MinBytes(limit) if bytes < *limit => Some((
                format!("must have at least {limit} bytes"),
                "string.min_bytes",
            )),
            Self::MaxBytes(limit) if bytes > *limit => Some((
                format!("must have at most {limit} bytes"),
                "string.max_bytes",
            )),
            Self::Prefix(prefix) if !text.starts_with(prefix.as_str()) => {
                Some((format!("must begin with {prefix}"), "string.prefix"))
            }
            Self::Suffix(suffix) if !text.ends_with(suffix.as_str()) => {
                Some((format!("must end with {suffix}"), "string.suffix"))
            }
            Self::Pattern(pattern, message) if !pattern.is_match(text) => {
                let own = || format!("must match {pattern}");
                Some((message.clone().unwrap_or_else(own), "string.pattern"))
            }
            Self::TextIn(set) if !set.iter().any(|known| known == text) => {
                Some((format!("must be one of {}", set.join(", ")), "string.in"))
            }
            Self::TextNotIn(set) if set.iter().any(|known| known == text) => Some((
                format!("must not be one of {}", set.join(", ")),
                "string.not_in",
            )),
            Self::Email(message) if text.len() > 254 || !EMAIL.is_match(text) => {
                let own = || "must be an e-mail address".to_owned();
                Some((message.clone().unwrap_or_else(own), "string.email"))
            }
            Self::Uri if !URI.is_match(text) => {
                Some(("must be an absolute URI".to_owned(), "string.uri"))
            }
            _ => None,
        }
    }

    fn collection(&self, value: &Value) -> Option<Broken> {
        let count = match value {
            Value::List(items) => items.len() as u64,
            Value::Map(pairs) => pairs.len() as u64,
            _ => return None,
        };
        match self {
            Self::MinItems(limit) if count < *limit => Some((
                format!("must have at least {limit} items"),
                "repeated.min_items",
            )),
            Self::MaxItems(limit) if count > *limit => Some((
                format!("must have at most {limit} items"),
                "repeated.max_items",
            )),
            Self::MinPairs(limit) if count < *limit => {
                Some((format!("must have at least {limit} pairs"), "map.min_pairs"))
            }
            Self::MaxPairs(limit) if count > *limit => {
                Some((format!("must have at most {limit} pairs"), "map.max_pairs"))
            }
            Self::Unique if repeats(value) => {
                Some(("must not hold an item twice".to_owned(), "repeated.unique"))
            }
            _ => None,
        }
    }

    fn span(&self, value: &Value) -> Option<Broken> {
        let span: prost_types::Duration = value.as_message()?.transcode_to().ok()?;
        let length = nanos(&span);
        match self {
            Self::Shorter(limit) if length >= *limit => Some((
                format!("must be shorter than {}", seconds(*limit)),
                "duration.lt",
            )),
            Self::NoLonger(limit) if length > *limit => Some((
                format!("must be at most {}", seconds(*limit)),
                "duration.lte",
            )),
            Self::Longer(limit) if length <= *limit => Some((
                format!("must be longer than {}", seconds(*limit)),
                "duration.gt",
            )),
            Self::NoShorter(limit) if length < *limit => Some((
                format!("must be at least {}", seconds(*limit)),
                "duration.gte",
            )),
            _ => None,
        }
    }
}

pub(super) fn nanos(span: &prost_types::Duration) -> i128 {
    i128::from(span.seconds) * 1_000_000_000 + i128::from(span.nanos)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "limits are small and only shown"
)]
fn seconds(nanos: i128) -> String {
    format!("{} s", nanos as f64 / 1e9)
}

fn list(set: &[i128]) -> String {
    set.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn repeats(value: &Value) -> bool {
    let Some(items) = value.as_list() else {
        return false;
    };
    let mut texts = std::collections::HashSet::new();
    match items.iter().map(Value::as_str).collect::<Option<Vec<_>>>() {
        Some(all) => all.into_iter().any(|text| !texts.insert(text)),
        // Numbers and messages: such lists are short.
        None => items
            .iter()
            .enumerate()
            .any(|(at, item)| items.iter().take(at).any(|other| other == item)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_addresses() {
        for good in ["ada@acme.test", "a.b+c@sub.acme.co.uk", "x@localhost"] {
            assert!(EMAIL.is_match(good), "{good}");
        }
        for bad in [
            "",
            "ada",
            "ada@",
            "@acme.test",
            "ada@acme..test",
            "ada@-acme.test",
            "a b@acme.test",
            "ada@acme.test\n",
        ] {
            assert!(!EMAIL.is_match(bad), "{bad}");
        }
    }

    #[test]
    fn absolute_uris() {
        for good in [
            "https://acme.test/cb?x=1#f",
            "myapp://callback",
            "http://localhost:3000",
            "urn:a:b",
        ] {
            assert!(URI.is_match(good), "{good}");
        }
        for bad in [
            "",
            "/relative",
            "acme.test/x",
            "https://a b",
            "https://x/%zz",
            "javascript",
        ] {
            assert!(!URI.is_match(bad), "{bad}");
        }
    }
}
