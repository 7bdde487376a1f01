//! Turns the rules in field options into checks.

use super::{Rules, check::Check};
use crate::contract::ContractError;
use keystead_proto::validate::{self as pb, field_rules::Type, string_rules::WellKnown};
use prost_reflect::{ExtensionDescriptor, FieldDescriptor, Kind, Value};
use regex::Regex;

/// Fields whose rules give way, each with its reason.
const EXCEPTIONS: &[(&str, Exception)] = &[
    // AK-209: pages of 100 are documented and sent, though the rule says "below 100".
    (
        "scalekit.v1.connected_accounts.ListConnectedAccountsRequest.page_size",
        Exception::AtMost(100),
    ),
    // AK-016: the domain checks the URL, because development allows plain http on loopback.
    (
        "scalekit.v1.providers.CreateCustomProvider.proxy_url",
        Exception::NoRules,
    ),
    (
        "scalekit.v1.providers.UpdateCustomProvider.proxy_url",
        Exception::NoRules,
    ),
    // AK-019: an update without auth patterns keeps them.
    (
        "scalekit.v1.providers.UpdateCustomProvider.auth_patterns",
        Exception::NoRules,
    ),
    // Client libraries send an empty organization for connections of the environment.
    (
        "scalekit.v1.connections.GetConnectionRequest.organization_id",
        Exception::NoRules,
    ),
    (
        "scalekit.v1.connections.UpdateConnectionRequest.organization_id",
        Exception::NoRules,
    ),
    (
        "scalekit.v1.connections.DeleteConnectionRequest.organization_id",
        Exception::NoRules,
    ),
    (
        "scalekit.v1.connections.ToggleConnectionRequest.organization_id",
        Exception::NoRules,
    ),
    // The contract puts an enum's rule on a text; the field is read-only.
    (
        "scalekit.v1.directories.Directory.status",
        Exception::NoRules,
    ),
    // A client library leaves the filter out; an absent filter is an empty one.
    (
        "scalekit.v1.tools.ListScopedToolsRequest.filter",
        Exception::NoRules,
    ),
];

#[derive(Clone, Copy)]
enum Exception {
    NoRules,
    AtMost(i128),
}

/// The rules of a field; `None` when it has none.
pub(super) fn field(
    field: &FieldDescriptor,
    extension: &ExtensionDescriptor,
) -> Result<Option<Rules>, ContractError> {
    let options = field.options();
    if !options.has_extension(extension) {
        return Ok(None);
    }
    match EXCEPTIONS
        .iter()
        .find(|(name, _)| *name == field.full_name())
    {
        Some((_, Exception::NoRules)) => return Ok(None),
        Some((_, Exception::AtMost(limit))) => {
            return Ok(Some(Rules {
                checks: vec![Check::AtMost(*limit)],
                ..Rules::default()
            }));
        }
        None => {}
    }
    let problem = |problem: String| ContractError::Rule {
        field: field.full_name().to_owned(),
        problem,
    };
    let value = options.get_extension(extension);
    let Value::Message(message) = value.as_ref() else {
        return Err(problem("the option is not a message".to_owned()));
    };
    let rules: pb::FieldRules = message
        .transcode_to()
        .map_err(|error| problem(error.to_string()))?;
    compile(&rules, &field.kind()).map_err(problem)
}

fn compile(rules: &pb::FieldRules, kind: &Kind) -> Result<Option<Rules>, String> {
    if rules.ignore() == pb::Ignore::Always {
        return Ok(None);
    }
    let mut made = Rules {
        required: rules.required(),
        skip_zero: rules.ignore() == pb::Ignore::IfZeroValue,
        ..Rules::default()
    };
    for rule in &rules.cel {
        made.checks.push(expression(rule)?);
    }
    match &rules.r#type {
        None => {}
        Some(Type::Int32(r)) => {
            numbers(
                &mut made,
                [r.r#const, r.lt, r.lte, r.gt, r.gte],
                &r.r#in,
                &r.not_in,
            );
        }
        Some(Type::Int64(r)) => {
            numbers(
                &mut made,
                [r.r#const, r.lt, r.lte, r.gt, r.gte],
                &r.r#in,
                &r.not_in,
            );
        }
        Some(Type::Uint32(r)) => {
            numbers(
                &mut made,
                [r.r#const, r.lt, r.lte, r.gt, r.gte],
                &r.r#in,
                &r.not_in,
            );
        }
        Some(Type::Uint64(r)) => {
            numbers(
                &mut made,
                [r.r#const, r.lt, r.lte, r.gt, r.gte],
                &r.r#in,
                &r.not_in,
            );
        }
        Some(Type::String(r)) => text(&mut made, r)?,
        Some(Type::Enum(r)) => {
            if r.defined_only() {
                let known = kind.as_enum().ok_or("defined_only is for enums")?;
                made.checks.push(Check::Defined(known.clone()));
            }
            if !r.r#in.is_empty() {
                made.checks.push(Check::EnumIn(r.r#in.clone()));
            }
            if !r.not_in.is_empty() {
                made.checks.push(Check::EnumNotIn(r.not_in.clone()));
            }
        }
        Some(Type::Repeated(r)) => {
            made.checks.extend(r.min_items.map(Check::MinItems));
            made.checks.extend(r.max_items.map(Check::MaxItems));
            if r.unique() {
                made.checks.push(Check::Unique);
            }
            made.items = boxed(r.items.as_deref(), kind)?;
        }
        Some(Type::Map(r)) => {
            made.checks.extend(r.min_pairs.map(Check::MinPairs));
            made.checks.extend(r.max_pairs.map(Check::MaxPairs));
            let entry = kind.as_message().ok_or("map rules are for maps")?;
            made.keys = boxed(r.keys.as_deref(), &entry.map_entry_key_field().kind())?;
            made.values = boxed(r.values.as_deref(), &entry.map_entry_value_field().kind())?;
        }
        Some(Type::Duration(r)) => {
            let nanos =
                |span: &Option<prost_types::Duration>| span.as_ref().map(super::check::nanos);
            made.checks.extend(nanos(&r.lt).map(Check::Shorter));
            made.checks.extend(nanos(&r.lte).map(Check::NoLonger));
            made.checks.extend(nanos(&r.gt).map(Check::Longer));
            made.checks.extend(nanos(&r.gte).map(Check::NoShorter));
        }
    }
    Ok(Some(made))
}

fn boxed(rules: Option<&pb::FieldRules>, kind: &Kind) -> Result<Option<Box<Rules>>, String> {
    let compiled = rules.map(|rules| compile(rules, kind)).transpose()?;
    Ok(compiled.flatten().map(Box::new))
}

fn numbers<N: Copy + Into<i128>>(
    made: &mut Rules,
    limits: [Option<N>; 5],
    one_of: &[N],
    none_of: &[N],
) {
    let [exact, below, at_most, above, at_least] = limits.map(|limit| limit.map(Into::into));
    made.checks
        .extend(exact.map(|value| Check::OneOf(vec![value])));
    made.checks.extend(below.map(Check::Below));
    made.checks.extend(at_most.map(Check::AtMost));
    made.checks.extend(above.map(Check::Above));
    made.checks.extend(at_least.map(Check::AtLeast));
    if !one_of.is_empty() {
        made.checks.push(Check::OneOf(
            one_of.iter().map(|value| (*value).into()).collect(),
        ));
    }
    if !none_of.is_empty() {
        made.checks.push(Check::NoneOf(
            none_of.iter().map(|value| (*value).into()).collect(),
        ));
    }
}

fn text(made: &mut Rules, rules: &pb::StringRules) -> Result<(), String> {
    let checks = &mut made.checks;
    checks.extend(
        rules
            .r#const
            .clone()
            .map(|value| Check::TextIn(vec![value])),
    );
    checks.extend(rules.min_len.map(Check::MinLen));
    checks.extend(rules.max_len.map(Check::MaxLen));
    checks.extend(rules.min_bytes.map(Check::MinBytes));
    checks.extend(rules.max_bytes.map(Check::MaxBytes));
    checks.extend(rules.prefix.clone().map(Check::Prefix));
    checks.extend(rules.suffix.clone().map(Check::Suffix));
    if let Some(pattern) = &rules.pattern {
        checks.push(Check::Pattern(
            Regex::new(pattern).map_err(|error| error.to_string())?,
            None,
        ));
    }
    if !rules.r#in.is_empty() {
        checks.push(Check::TextIn(rules.r#in.clone()));
    }
    if !rules.not_in.is_empty() {
        checks.push(Check::TextNotIn(rules.not_in.clone()));
    }
    match rules.well_known {
        Some(WellKnown::Email(true)) => checks.push(Check::Email(None)),
        Some(WellKnown::Uri(true)) => checks.push(Check::Uri),
        Some(WellKnown::Hostname(true)) => return Err("hostname is not known".to_owned()),
        Some(WellKnown::Email(false) | WellKnown::Uri(false) | WellKnown::Hostname(false))
        | None => {}
    }
    Ok(())
}

/// The three expressions of the contract, known by their text.
fn expression(rule: &pb::Rule) -> Result<Check, String> {
    let message = rule.message().to_owned();
    match rule.expression() {
        "this.isEmail()" => Ok(Check::Email(Some(message))),
        "!(this.type in [4,5,9])" => Ok(Check::TypeNotIn(&[4, 5, 9], message)),
        "this.matches('^[a-zA-Z0-9_:]+$')" => {
            let pattern = Regex::new("^[a-zA-Z0-9_:]+$").map_err(|error| error.to_string())?;
            Ok(Check::Pattern(pattern, Some(message)))
        }
        unknown => Err(format!("the expression {unknown} is not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_expression_is_refused() {
        let rule = pb::Rule {
            expression: Some("this > 3".to_owned()),
            ..pb::Rule::default()
        };
        assert!(expression(&rule).is_err());
    }
}
