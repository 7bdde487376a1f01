//! Path templates of `google.api.http`.

use percent_encoding::percent_decode_str;
use prost_reflect::{FieldDescriptor, MessageDescriptor};

/// One piece of a path between slashes.
#[derive(Clone, PartialEq, Debug)]
pub enum Segment {
    /// Exactly this text; it may hold colons (`users:search`).
    Literal(String),
    /// A value followed by an optional `:verb`.
    Variable {
        /// Fields from the request message down to the value.
        fields: Vec<FieldDescriptor>,
        /// `:verb` including the colon; empty when there is none.
        verb: String,
    },
    /// Everything that is left, one segment or more; only at the end.
    Rest,
}

/// A parsed path template.
#[derive(Clone, PartialEq, Debug)]
pub struct Template {
    /// As written in the contract.
    pub text: String,
    /// Its pieces.
    pub segments: Vec<Segment>,
}

/// Why a template could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TemplateError {
    /// Not of the form we know.
    #[error("the path {0} is not understood")]
    Syntax(String),
    /// A variable without a field.
    #[error("the request has no field {0}")]
    UnknownField(String),
}

impl Template {
    /// Reads a template and finds the fields of its variables in `request`.
    pub fn parse(text: &str, request: &MessageDescriptor) -> Result<Self, TemplateError> {
        let syntax = || TemplateError::Syntax(text.to_owned());
        let path = text.strip_prefix('/').ok_or_else(syntax)?;
        let mut segments = Vec::new();
        for piece in path.split('/') {
            if matches!(segments.last(), Some(Segment::Rest)) {
                return Err(syntax());
            }
            segments.push(match piece.strip_prefix('{') {
                Some(variable) => {
                    let (name, verb) = variable.split_once('}').ok_or_else(syntax)?;
                    if name.contains('=') || !(verb.is_empty() || verb.starts_with(':')) {
                        return Err(syntax());
                    }
                    Segment::Variable {
                        fields: field_path(name, request)?,
                        verb: verb.to_owned(),
                    }
                }
                None if piece == "**" => Segment::Rest,
                None if piece.is_empty() || piece.contains(['{', '}', '*']) => return Err(syntax()),
                None => Segment::Literal(piece.to_owned()),
            });
        }
        Ok(Self {
            text: text.to_owned(),
            segments,
        })
    }

    /// The fields that the path fills.
    pub fn variables(&self) -> impl Iterator<Item = &[FieldDescriptor]> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Variable { fields, .. } => Some(fields.as_slice()),
            _ => None,
        })
    }
}

/// Follows a dotted path of proto names from `message`.
fn field_path(
    path: &str,
    message: &MessageDescriptor,
) -> Result<Vec<FieldDescriptor>, TemplateError> {
    let unknown = || TemplateError::UnknownField(path.to_owned());
    let mut fields: Vec<FieldDescriptor> = Vec::new();
    for name in path.split('.') {
        let parent = match fields.last() {
            None => message.clone(),
            Some(field) => field.kind().as_message().cloned().ok_or_else(unknown)?,
        };
        fields.push(parent.get_field_by_name(name).ok_or_else(unknown)?);
    }
    Ok(fields)
}

/// Undoes percent-encoding; `None` when the bytes are not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    percent_decode_str(text)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_proto::POOL;

    fn request() -> MessageDescriptor {
        POOL.get_message_by_name("scalekit.v1.organizations.UpdateOrganizationRequest")
            .unwrap()
    }

    #[test]
    fn reads_literals_variables_verbs_and_rest() {
        let template = Template::parse("/api/v1/things:external/{id}:enable", &request()).unwrap();
        assert_eq!(template.segments.len(), 4);
        assert_eq!(
            template.segments[2],
            Segment::Literal("things:external".to_owned())
        );
        assert!(
            matches!(&template.segments[3], Segment::Variable { verb, .. } if verb == ":enable")
        );
        let rest = Template::parse("/hooks/**", &request()).unwrap();
        assert_eq!(rest.segments.last(), Some(&Segment::Rest));
    }

    #[test]
    fn variables_may_name_nested_fields() {
        let template = Template::parse("/a/{organization.display_name}", &request()).unwrap();
        let fields: Vec<_> = template
            .variables()
            .next()
            .unwrap()
            .iter()
            .map(|f| f.name().to_owned())
            .collect();
        assert_eq!(fields, ["organization", "display_name"]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in ["a", "/a//b", "/{id", "/{id=*}", "/{id}x", "/a*", "/**/a"] {
            assert!(
                matches!(
                    Template::parse(text, &request()),
                    Err(TemplateError::Syntax(_))
                ),
                "{text}"
            );
        }
        assert!(matches!(
            Template::parse("/{nope}", &request()),
            Err(TemplateError::UnknownField(_))
        ));
    }
}
