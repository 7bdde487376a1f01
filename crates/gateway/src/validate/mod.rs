//! Checks requests against the `buf.validate` rules of the contract.
//!
//! The rules are compiled once, at start; a rule without a known meaning stops the start, so none
//! is ever skipped silently. Where client libraries and the product's pages contradict a rule, the
//! rule gives way; those places are listed in [`compile`].
//!
//! One rule is not in the contract and holds for every text: no U+0000, which PostgreSQL cannot store.

mod check;
mod compile;

use crate::contract::ContractError;
use check::Check;
use keystead_proto::POOL;
use keystead_types::FieldViolation;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value,
};
use std::collections::{HashMap, HashSet};

/// Judges a request message.
pub trait Validate: Send + Sync + 'static {
    /// Whether messages of this type need no look at all, so that they need not be decoded.
    fn is_free(&self, message: &MessageDescriptor) -> bool;

    /// Every broken rule; empty when the message may pass.
    fn violations(&self, message: &DynamicMessage) -> Vec<FieldViolation>;
}

/// Rules of one field, one list item, one map key or one map value.
#[derive(Debug, Default)]
struct Rules {
    required: bool,
    skip_zero: bool,
    checks: Vec<Check>,
    items: Option<Box<Rules>>,
    keys: Option<Box<Rules>>,
    values: Option<Box<Rules>>,
}

/// The rules of the contract.
#[derive(Debug)]
pub struct ContractRules {
    /// By full message name; only fields that have rules.
    fields: HashMap<String, Vec<(FieldDescriptor, Rules)>>,
    /// Messages that have rules, or reach one that has.
    reach: HashSet<String>,
}

impl ContractRules {
    /// Compiles the rules of every message.
    ///
    /// # Errors
    /// [`ContractError::Rule`] when a rule has no known meaning.
    pub fn load() -> Result<Self, ContractError> {
        let extension = POOL
            .get_extension_by_name("buf.validate.field")
            .ok_or(ContractError::Missing("buf.validate.field"))?;
        let mut fields = HashMap::new();
        for message in POOL.all_messages() {
            let mut rules = Vec::new();
            for field in message.fields() {
                if let Some(compiled) = compile::field(&field, &extension)? {
                    rules.push((field, compiled));
                }
            }
            if !rules.is_empty() {
                fields.insert(message.full_name().to_owned(), rules);
            }
        }
        let mut reach: HashSet<String> = fields.keys().cloned().collect();
        // A fixed point: messages refer to each other in cycles.
        loop {
            let more: Vec<String> = POOL
                .all_messages()
                .filter(|message| !reach.contains(message.full_name()))
                .filter(|message| {
                    message.fields().any(|field| {
                        target(&field).is_some_and(|to| reach.contains(to.full_name()))
                    })
                })
                .map(|message| message.full_name().to_owned())
                .collect();
            if more.is_empty() {
                return Ok(Self { fields, reach });
            }
            reach.extend(more);
        }
    }

    fn message(&self, message: &DynamicMessage, path: &str, broken: &mut Vec<FieldViolation>) {
        let descriptor = message.descriptor();
        let none = Vec::new();
        for (field, rules) in self.fields.get(descriptor.full_name()).unwrap_or(&none) {
            let path = join(path, field.name());
            let is_set = message.has_field(field);
            if !is_set && rules.required {
                broken.push(violation(&path, "is required", "required"));
            } else if is_set || !(field.supports_presence() || rules.skip_zero) {
                value(rules, &message.get_field(field), field, &path, broken);
            }
        }
        for (field, value) in message.fields() {
            // Most fields have nothing below them and nothing wrong: no path is put together for those.
            let path = || join(path, field.name());
            match value {
                Value::List(items) => {
                    for (index, item) in items.iter().enumerate() {
                        self.inside(item, || format!("{}[{index}]", path()), broken);
                    }
                }
                Value::Map(pairs) => {
                    for (key, item) in pairs {
                        let path = || format!("{}[{}]", path(), show(key));
                        if let MapKey::String(text) = key {
                            no_nul(text, path, broken);
                        }
                        self.inside(item, path, broken);
                    }
                }
                value => self.inside(value, path, broken),
            }
        }
    }

    fn inside(&self, value: &Value, path: impl Fn() -> String, broken: &mut Vec<FieldViolation>) {
        match value {
            Value::Message(inner) => self.message(inner, &path(), broken),
            Value::String(text) => no_nul(text, path, broken),
            _ => {}
        }
    }
}

impl Validate for ContractRules {
    fn is_free(&self, message: &MessageDescriptor) -> bool {
        !self.reach.contains(message.full_name())
    }

    fn violations(&self, message: &DynamicMessage) -> Vec<FieldViolation> {
        let mut broken = Vec::new();
        self.message(message, "", &mut broken);
        broken
    }
}

/// The message type that a field leads to, through lists and map values.
fn target(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    let kind = field.kind();
    let message = kind.as_message()?;
    if message.is_map_entry() {
        return message.map_entry_value_field().kind().as_message().cloned();
    }
    Some(message.clone())
}

fn value(
    rules: &Rules,
    value: &Value,
    field: &FieldDescriptor,
    path: &str,
    broken: &mut Vec<FieldViolation>,
) {
    check_all(rules, value, path, broken);
    match value {
        Value::List(items) => {
            let Some(rules) = &rules.items else { return };
            for (index, item) in items.iter().enumerate() {
                single(
                    rules,
                    item,
                    &field.kind(),
                    &format!("{path}[{index}]"),
                    broken,
                );
            }
        }
        Value::Map(pairs) => {
            let kind = field.kind();
            let Some(entry) = kind.as_message() else {
                return;
            };
            for (key, item) in pairs {
                let path = format!("{path}[{}]", show(key));
                if let Some(rules) = &rules.keys {
                    single(
                        rules,
                        &Value::from(key.clone()),
                        &entry.map_entry_key_field().kind(),
                        &path,
                        broken,
                    );
                }
                if let Some(rules) = &rules.values {
                    single(
                        rules,
                        item,
                        &entry.map_entry_value_field().kind(),
                        &path,
                        broken,
                    );
                }
            }
        }
        _ => {}
    }
}

/// Items, keys and values have no presence: zero is a value like any other unless told otherwise.
fn single(rules: &Rules, value: &Value, kind: &Kind, path: &str, broken: &mut Vec<FieldViolation>) {
    let is_zero = *value == Value::default_value(kind);
    if is_zero && rules.required {
        broken.push(violation(path, "is required", "required"));
    } else if !(is_zero && rules.skip_zero) {
        check_all(rules, value, path, broken);
    }
}

fn check_all(rules: &Rules, value: &Value, path: &str, broken: &mut Vec<FieldViolation>) {
    for check in &rules.checks {
        if let Err((description, constraint)) = check.run(value) {
            broken.push(violation(path, description, constraint));
        }
    }
}

/// SECURITY: what one engine stores and the other refuses would end as an internal error there, and
/// as a backup that cannot be moved between them.
fn no_nul(text: &str, path: impl Fn() -> String, broken: &mut Vec<FieldViolation>) {
    if text.as_bytes().contains(&0) {
        let rule = "string.not_contains";
        broken.push(violation(
            &path(),
            "must not contain the character U+0000",
            rule,
        ));
    }
}

fn violation(field: &str, description: impl Into<String>, constraint: &str) -> FieldViolation {
    FieldViolation {
        field: field.to_owned(),
        description: description.into(),
        constraint: constraint.to_owned(),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn show(key: &MapKey) -> String {
    match key {
        MapKey::Bool(value) => value.to_string(),
        MapKey::I32(value) => value.to_string(),
        MapKey::I64(value) => value.to_string(),
        MapKey::U32(value) => value.to_string(),
        MapKey::U64(value) => value.to_string(),
        // A key is the caller's own text: it may be long, and hold what does not belong into a log.
        MapKey::String(value) => {
            let shown = value.chars().take(64);
            shown
                .map(|c| {
                    if c.is_control() {
                        char::REPLACEMENT_CHARACTER
                    } else {
                        c
                    }
                })
                .collect()
        }
    }
}

#[cfg(test)]
mod tests;
