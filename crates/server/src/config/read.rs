//! Reads the file and the environment, and says in the words of the file what is wrong and where.

use super::{Config, repair, rules};
use crate::file_kind;
use anyhow::{Context, Result, bail};
use figment::{
    Figment,
    error::{Actual, Kind},
    providers::{Env, Format, Toml},
};
use std::{
    env, fmt, fs,
    ops::Range,
    path::{Path, PathBuf},
};
use toml_edit::ImDocument;

const PREFIX: &str = "KEYSTEAD_";

/// Reads the file (when given) and the environment, and checks what can be checked alone.
///
/// Every broken rule is reported, not only the first.
pub(crate) fn load(path: Option<&Path>) -> Result<Config> {
    let file = match path {
        Some(path) => {
            if let Err(why) = file_kind::require_regular(path) {
                bail!("the configuration file {} {why}", path.display());
            }
            let text = fs::read_to_string(path);
            let text = text.with_context(|| format!("read {}", path.display()))?;
            Some(File::of(path.to_owned(), &text)?)
        }
        None => None,
    };
    // Other variables of ours have no double underscore.
    let variables = Env::prefixed(PREFIX)
        .filter(|name| name.as_str().contains("__"))
        .split("__");
    extract(Figment::from(variables), file.as_ref())
}

/// The settings of the file under those of `above`.
pub(super) fn extract(above: Figment, file: Option<&File>) -> Result<Config> {
    let figment = match file {
        Some(file) => above.join(Toml::string(file.document.raw())),
        None => above,
    };
    let (mut found, config) = match figment.extract::<Config>() {
        Ok(config) => (Vec::new(), Some(config)),
        Err(error) => repair::all_mistakes(&figment, error),
    };
    let broken = config.as_ref().map(rules::broken).unwrap_or_default();
    for rule in broken {
        let path: Vec<_> = rule.setting.split('.').map(str::to_owned).collect();
        // What stands in for a mistake breaks no rule of its own.
        if !found.iter().any(|(known, _)| repair::related(known, &path)) {
            found.push((path, rule.text));
        }
    }
    match config {
        Some(config) if found.is_empty() => Ok(config),
        _ => {
            let found = found.iter().map(|(path, text)| mistake(file, path, text));
            Err(Wrong(found.collect()).into())
        }
    }
}

/// What is wrong, one text for each mistake.
#[derive(Debug)]
struct Wrong(Vec<String>);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is wrong:")?;
        self.0.iter().try_for_each(|one| write!(f, "\n  {one}"))
    }
}

impl std::error::Error for Wrong {}

/// A configuration file, with the places of its settings.
pub(crate) struct File {
    path: PathBuf,
    document: ImDocument<String>,
}

impl File {
    /// SECURITY: the parser's own report shows the line, which may hold a password; ours does not.
    pub(crate) fn of(path: PathBuf, text: &str) -> Result<Self> {
        match ImDocument::parse(text.to_owned()) {
            Ok(document) => Ok(Self { path, document }),
            Err(error) => {
                let line = line(text, &error.span().unwrap_or(text.len()..text.len()));
                bail!(
                    "the configuration is wrong:\n  {}:{line}: this is not TOML: {}",
                    path.display(),
                    error.message().trim().replace('\n', ", ")
                )
            }
        }
    }

    /// Line of a setting, or of what it is in.
    fn line(&self, setting: &[String]) -> Option<usize> {
        let mut table = Some(self.document.as_table());
        let mut place = None;
        for name in setting {
            let Some((key, item)) = table.and_then(|table| table.get_key_value(name)) else {
                break;
            };
            place = key.span().or(place);
            table = item.as_table();
        }
        place.map(|place| line(self.document.raw(), &place))
    }
}

fn line(text: &str, place: &Range<usize>) -> usize {
    let before = text.bytes().take(place.start);
    1 + before.filter(|byte| *byte == b'\n').count()
}

fn mistake(file: Option<&File>, setting: &[String], text: &str) -> String {
    let name = setting.join(".");
    let what = if name.is_empty() {
        text.to_owned()
    } else {
        format!("{name} {text}")
    };
    match (variable(setting), file) {
        (Some(variable), _) => format!("environment variable {variable}: {what}"),
        (None, Some(file)) => {
            let place = file.path.display();
            match file.line(setting) {
                Some(line) => format!("{place}:{line}: {what}"),
                None => format!("{place}: {what}"),
            }
        }
        (None, None) => what,
    }
}

/// The environment variable that sets it, or something in it: it holds over the file.
fn variable(setting: &[String]) -> Option<String> {
    if setting.is_empty() {
        return None;
    }
    let wanted = format!("{PREFIX}{}", setting.join("__"));
    let table = format!("{wanted}__").to_uppercase();
    env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .find(|name| {
            let is_it = name.eq_ignore_ascii_case(&wanted);
            is_it || setting.len() == 1 && name.to_uppercase().starts_with(&table)
        })
}

/// Setting and text, never the value: it may be a secret.
pub(crate) fn in_words(error: &figment::Error) -> (Vec<String>, String) {
    let mut path = error.path.clone();
    let mut at = |name: &str| {
        if path.last().is_none_or(|last| last != name) {
            path.push(name.to_owned());
        }
    };
    let text = match &error.kind {
        Kind::MissingField(name) => {
            at(name);
            "is missing".to_owned()
        }
        Kind::UnknownField(name, known) | Kind::UnknownVariant(name, known) => {
            at(name);
            format!("does not exist; there are {}", known.join(", "))
        }
        Kind::DuplicateField(name) => {
            at(name);
            "is set twice".to_owned()
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("must be {}, not {}", wanted(expected), name_of(found))
        }
        Kind::InvalidLength(found, expected) => {
            format!("must have {expected}, not {found} parts")
        }
        Kind::Message(text) => format!("cannot be used: {text}"),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => "is out of range".to_owned(),
        Kind::Unsupported(_) | Kind::UnsupportedKey(..) => "cannot be used".to_owned(),
    };
    (path, text)
}

/// What the reader expects, in the words of a TOML file.
fn wanted(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" => "a whole number from 0".to_owned(),
        "a string" => "text in quotes".to_owned(),
        "path string" => "a path in quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list in brackets".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}

const fn name_of(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "true or false",
        Actual::Signed(_) | Actual::Unsigned(_) | Actual::Float(_) => "this number",
        Actual::Char(_) | Actual::Str(_) => "this text",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "this",
    }
}
