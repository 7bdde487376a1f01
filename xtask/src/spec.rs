//! Which requirements have a test that names them.

use crate::sources;
use anyhow::{Context, Result, bail};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

const LIST: &str = "docs/reference/requirements.txt";

pub(crate) fn run(root: &Path) -> Result<()> {
    let list = fs::read_to_string(root.join(LIST)).context(LIST)?;
    let known = requirements(&list);
    let mut named: BTreeSet<String> = BTreeSet::new();
    for file in sources::files(&root.join("crates"), &["rs"])? {
        let source = fs::read_to_string(&file)?;
        let is_test_file = file.components().any(|part| part.as_os_str() == "tests");
        named.extend(in_rust(&source, is_test_file));
    }
    for file in sources::files(
        &root.join("acceptance"),
        &["py", "mjs", "js", "ts", "go", "java"],
    )? {
        named.extend(ids(&fs::read_to_string(&file)?));
    }

    let mut areas: BTreeMap<&str, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
    for id in known.keys() {
        let (done, missing) = areas.entry(id.get(..2).unwrap_or_default()).or_default();
        if named.contains(*id) {
            done.push(id);
        } else {
            missing.push(id);
        }
    }
    for (area, (done, missing)) in &areas {
        println!(
            "{area}: {} of {} have a test",
            done.len(),
            done.len() + missing.len()
        );
        let core: Vec<&str> = missing
            .iter()
            .copied()
            .filter(|id| known.get(id) == Some(&"core"))
            .collect();
        println!("    done: {}", done.join(" "));
        println!("    core without a test: {}", core.join(" "));
    }
    let unknown: Vec<&String> = named
        .iter()
        .filter(|id| !known.contains_key(id.as_str()))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    bail!("tests name requirements that {LIST} does not have: {unknown:?}")
}

/// Ids and tags of the list.
fn requirements(list: &str) -> BTreeMap<&str, &str> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).collect()
}

/// Ids in the doc comments of tests, and in the module comment of a file of tests.
fn in_rust(source: &str, is_test_file: bool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let (mut pending, mut is_test) = (BTreeSet::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            pending.extend(ids(comment));
        } else if let Some(comment) = line.strip_prefix("//!") {
            if is_test_file {
                found.extend(ids(comment));
            }
        } else if line.starts_with("#[") {
            is_test |= is_test_attribute(line);
        } else {
            // The item that comments and attributes belong to, or its first line.
            if is_test {
                found.append(&mut pending);
            }
            (pending, is_test) = (BTreeSet::new(), false);
        }
    }
    found
}

fn is_test_attribute(line: &str) -> bool {
    let name = line
        .trim_start_matches("#[")
        .split([']', '('])
        .next()
        .unwrap_or_default();
    name.rsplit("::")
        .next()
        .is_some_and(|name| name == "test" || name == "test_app")
}

/// Everything that looks like `AK-220` or `AK-008a`.
fn ids(text: &str) -> BTreeSet<String> {
    const AREAS: &[&str] = &["AK", "DB", "DR", "LG", "MC", "SS"];
    let mut found = BTreeSet::new();
    for word in text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-')) {
        let Some((area, number)) = word.split_once('-') else {
            continue;
        };
        let (digits, letter) = number.split_at_checked(3).unwrap_or_default();
        let is_number = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_letter = letter.is_empty()
            || (letter.len() == 1 && letter.bytes().all(|byte| byte.is_ascii_lowercase()));
        if AREAS.contains(&area) && is_number && is_letter {
            found.insert(word.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn ids_are_told_from_other_words() {
        assert_eq!(
            ids("AK-220, (AK-008a) DB-001: XX-123 AK-22 AK-2200 ak-220"),
            set(&["AK-008a", "AK-220", "DB-001"])
        );
    }

    #[test]
    fn only_comments_of_tests_count() {
        let source = "//! LG-001\n/// AK-001\nfn product() {}\n/// AK-002 and\n/// AK-003.\n#[tokio::test]\nasync fn works() {}\n\
                      /// AK-004\n#[derive(Debug)]\nstruct X;\n/// AK-005\n#[test_app(engines = \"all\")]\nasync fn too() {}\n";
        assert_eq!(in_rust(source, false), set(&["AK-002", "AK-003", "AK-005"]));
        assert!(in_rust(source, true).contains("LG-001"));
    }
}
