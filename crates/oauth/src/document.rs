use crate::failure::clean_code;
use serde_json::{Map, Value};
use url::form_urlencoded;
use zeroize::Zeroize;

/// An HTTP answer, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Status code.
    pub status: u16,
    /// `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// Whole body; the caller has limited its size.
    pub body: &'a [u8],
}

impl Answer<'_> {
    pub(crate) const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// Why a body could not be read as a token response. Never holds any of the body.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BodyProblem {
    /// Nothing in it.
    #[error("the body is empty")]
    Empty,
    /// A web page: usually a login page, a proxy, or the wrong address.
    #[error("the body is an HTML page; check the token URL")]
    Html,
    /// Not UTF-8.
    #[error("the body is not text")]
    NotText,
    /// Broken JSON.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Neither a JSON object nor a form.
    #[error("the body is neither a JSON object nor a form")]
    UnknownFormat,
    /// A form with the same field twice.
    #[error("the field {0} occurs twice")]
    Repeated(String),
    /// A field that must be there is not.
    #[error("the field {0} is missing")]
    Missing(String),
    /// A field has another type than it must have.
    #[error("the field {field} is {found}, expected {expected}")]
    WrongType {
        /// Path of the field.
        field: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A token that cannot be sent in a header.
    #[error("the field {0} holds characters that no token may have")]
    NotAToken(String),
}

/// A JSON object or a form, wiped when dropped because it holds tokens.
#[derive(Debug)]
pub(crate) struct Document(Map<String, Value>);

impl Document {
    pub(crate) fn parse(answer: &Answer<'_>) -> Result<Self, BodyProblem> {
        let text = std::str::from_utf8(answer.body).map_err(|_| BodyProblem::NotText)?;
        let text = text.trim_start_matches('\u{feff}').trim();
        let kind = answer.content_type.unwrap_or_default().to_ascii_lowercase();
        // The body decides: providers send JSON as text/html and forms as text/plain.
        match text.bytes().next() {
            None => Err(BodyProblem::Empty),
            Some(b'{') => Self::json(text),
            Some(b'<') => Err(BodyProblem::Html),
            _ if kind.starts_with("text/html") => Err(BodyProblem::Html),
            _ if kind.contains("json") => Self::json(text),
            Some(b'[' | b'"') => Err(BodyProblem::UnknownFormat),
            _ => form(text),
        }
    }

    /// Reads a JSON object.
    pub(crate) fn json(text: &str) -> Result<Self, BodyProblem> {
        match serde_json::from_str(text) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(mut other) => {
                wipe(&mut other);
                Err(BodyProblem::UnknownFormat)
            }
            // The library's own message may quote the body.
            Err(error) => Err(BodyProblem::NotJson {
                line: error.line(),
                column: error.column(),
            }),
        }
    }

    /// A value by dotted path; `null` counts as absent.
    pub(crate) fn get(&self, path: &str) -> Option<&Value> {
        let (parents, name) = path
            .rsplit_once('.')
            .map_or((None, path), |(parents, name)| (Some(parents), name));
        let parents = parents.into_iter().flat_map(|parents| parents.split('.'));
        let mut members = &self.0;
        for parent in parents {
            members = members.get(parent)?.as_object()?;
        }
        members.get(name).filter(|value| !value.is_null())
    }

    /// Text by dotted path; empty counts as absent.
    pub(crate) fn text(&self, path: &str) -> Result<Option<&str>, BodyProblem> {
        match self.get(path) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(other) => Err(wrong_type(path, "text", other)),
        }
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(list) => list.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

pub(crate) fn wrong_type(field: &str, expected: &'static str, found: &Value) -> BodyProblem {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    BodyProblem::WrongType {
        field: field.to_owned(),
        expected,
        found,
    }
}

fn form(text: &str) -> Result<Document, BodyProblem> {
    let first = text.split('&').next().and_then(|pair| pair.split_once('='));
    let is_form = first.is_some_and(|(name, _)| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_.-%[]".contains(&b))
    });
    if !is_form || text.contains(['\n', '\r', ' ']) {
        return Err(BodyProblem::UnknownFormat);
    }
    let mut document = Document(Map::new());
    for (name, value) in form_urlencoded::parse(text.as_bytes()).into_owned() {
        if document.0.contains_key(&name) {
            return Err(BodyProblem::Repeated(clean_code(&name)));
        }
        document.0.insert(name, Value::String(value));
    }
    Ok(document)
}
