//! What else is wrong when something is: the reader stops at its first mistake, an operator wants all.

use super::{Config, in_words};
use figment::{
    Figment,
    error::Kind,
    providers::Serialized,
    value::{Dict, Value},
};

/// A setting, and what is wrong with it.
type Mistake = (Vec<String>, String);

/// Stand-ins for what must be there.
const NEEDED: [(&str, &str, &str); 3] = [
    ("server", "public_url", "https://stand-in.invalid"),
    ("database", "url", "sqlite:stand-in"),
    ("root_key", "environment", "STAND_IN"),
];

/// Takes out what is wrong, puts in what is missing, and reads again until nothing is wrong any more.
/// The configuration is only for finding broken rules.
pub(super) fn all_mistakes(
    figment: &Figment,
    first: figment::Error,
) -> (Vec<Mistake>, Option<Config>) {
    let (mut found, mut error) = (Vec::<Mistake>::new(), first);
    let mut tree = figment.extract::<Dict>().unwrap_or_default();
    loop {
        let mut has_changed = false;
        for one in error {
            let (path, text) = in_words(&one);
            let is_missing = matches!(one.kind, Kind::MissingField(_));
            has_changed |= is_missing && stand_in(&mut tree, &path) || remove(&mut tree, &path);
            // What was taken out is not missing.
            if !found.iter().any(|(known, _)| related(known, &path)) {
                found.push((path, text));
            }
        }
        if !has_changed {
            return (found, None);
        }
        match Figment::from(Serialized::defaults(&tree)).extract() {
            Ok(config) => return (found, Some(config)),
            Err(next) => error = next,
        }
    }
}

/// Whether one setting is the other, or in it.
pub(super) fn related(one: &[String], other: &[String]) -> bool {
    one.iter().zip(other).all(|(a, b)| a == b)
}

/// Puts a needed setting in; `false` when it is none, or there already.
fn stand_in(tree: &mut Dict, path: &[String]) -> bool {
    let Some((section, rest)) = path.split_first() else {
        return false;
    };
    let Some((_, name, value)) = NEEDED.iter().find(|(needed, ..)| needed == section) else {
        return false;
    };
    if rest.iter().any(|part| part != name) {
        return false;
    }
    let entry = tree.entry(section.clone());
    let inner = entry.or_insert_with(|| Value::from(Dict::new()));
    match inner {
        Value::Dict(_, inner) if !inner.contains_key(*name) => {
            inner.insert((*name).to_owned(), Value::from(*value));
            true
        }
        _ => false,
    }
}

/// Takes out a setting, or the nearest thing around it.
fn remove(tree: &mut Dict, path: &[String]) -> bool {
    let Some((name, rest)) = path.split_first() else {
        return false;
    };
    if let Some(Value::Dict(_, inner)) = tree.get_mut(name)
        && remove(inner, rest)
    {
        return true;
    }
    tree.remove(name).is_some()
}
