//! Which requirements have a test that names them.
//!
//! An id in the comment of a test says that the tests with this id together show all of the requirement. `part of AK-001`
//! says that something is missing.

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
    let mut named = Named::default();
    for file in sources::files(&root.join("crates"), &["rs"])? {
        named.extend(in_rust(&fs::read_to_string(&file)?));
    }
    for file in sources::files(
        &root.join("acceptance"),
        &["py", "mjs", "js", "ts", "go", "java"],
    )? {
        named.extend(ids(&fs::read_to_string(&file)?));
    }

    let mut areas: BTreeMap<&str, Area> = BTreeMap::new();
    for (id, tag) in &known {
        let area = areas.entry(id.get(..2).unwrap_or_default()).or_default();
        if named.shown.contains(*id) {
            area.done.push(id);
        } else if named.partly.contains(*id) {
            area.partly.push(id);
        } else {
            area.missing.push((id, tag));
        }
    }
    for (name, area) in &areas {
        let (done, partly) = (area.done.len(), area.partly.len());
        let all = done + partly + area.missing.len();
        println!("{name}: {done} of {all} have a test, {partly} more in part");
        println!("    done: {}", area.done.join(" "));
        println!("    in part: {}", area.partly.join(" "));
        let core = area.missing.iter().filter(|(_, tag)| *tag == "core");
        let core: Vec<&str> = core.map(|(id, _)| *id).collect();
        println!("    core without a test: {}", core.join(" "));
    }
    let unknown: Vec<&String> = named
        .shown
        .union(&named.partly)
        .filter(|id| !known.contains_key(id.as_str()))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    bail!("tests name requirements that {LIST} does not have: {unknown:?}")
}

/// The requirements of one area, by how far they are shown.
#[derive(Default)]
struct Area<'a> {
    done: Vec<&'a str>,
    partly: Vec<&'a str>,
    missing: Vec<(&'a str, &'a str)>,
}

/// Ids in a text.
#[derive(Default, PartialEq, Eq, Debug)]
struct Named {
    shown: BTreeSet<String>,
    /// Those after "part of".
    partly: BTreeSet<String>,
}

impl Named {
    fn extend(&mut self, other: Self) {
        self.shown.extend(other.shown);
        self.partly.extend(other.partly);
    }
}

/// Ids and tags of the list.
fn requirements(list: &str) -> BTreeMap<&str, &str> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).collect()
}

/// Ids in the doc comments of tests.
fn in_rust(source: &str) -> Named {
    let mut found = Named::default();
    let (mut pending, mut is_test) = (Named::default(), false);
    for line in source.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            pending.extend(ids(comment));
        } else if line.starts_with("#[") {
            is_test |= is_test_attribute(line);
        } else {
            // The item that comments and attributes belong to, or its first line.
            let pending = std::mem::take(&mut pending);
            if is_test || is_test_of_both_engines(line) {
                found.extend(pending);
            }
            is_test = false;
        }
    }
    found
}

/// An item of `on_both_engines!`, which makes two tests of it.
fn is_test_of_both_engines(line: &str) -> bool {
    line.starts_with("async fn ") && line.ends_with("(test: TestDb) {")
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
fn ids(text: &str) -> Named {
    let mut found = Named::default();
    let (mut second_last, mut last) = ("", "");
    for word in text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-')) {
        if word.is_empty() {
            continue;
        }
        let partly = second_last.eq_ignore_ascii_case("part") && last == "of";
        (second_last, last) = (last, word);
        if !is_id(word) {
            continue;
        }
        let set = if partly {
            &mut found.partly
        } else {
            &mut found.shown
        };
        set.insert(word.to_owned());
    }
    found
}

fn is_id(word: &str) -> bool {
    const AREAS: &[&str] = &["AK", "DB", "DR", "LG", "MC", "SS"];
    let Some((area, number)) = word.split_once('-') else {
        return false;
    };
    let (digits, letter) = number.split_at_checked(3).unwrap_or_default();
    let is_number = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_letter = letter.is_empty()
        || (letter.len() == 1 && letter.bytes().all(|byte| byte.is_ascii_lowercase()));
    AREAS.contains(&area) && is_number && is_letter
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(shown: &[&str], partly: &[&str]) -> Named {
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        Named {
            shown: set(shown),
            partly: set(partly),
        }
    }

    #[test]
    fn ids_are_told_from_other_words() {
        assert_eq!(
            ids("AK-220, (AK-008a) DB-001: XX-123 AK-22 AK-2200 ak-220"),
            named(&["AK-008a", "AK-220", "DB-001"], &[])
        );
    }

    #[test]
    fn a_part_is_told_from_the_whole() {
        assert_eq!(
            ids("Part of AK-001, AK-002, part of AK-003: apart of AK-004"),
            named(&["AK-002", "AK-004"], &["AK-001", "AK-003"])
        );
    }

    #[test]
    fn only_comments_of_tests_count() {
        let source = "//! LG-001\n/// AK-001\nfn product() {}\n/// AK-002 and\n/// AK-003.\n#[tokio::test]\nasync fn works() {}\n\
                      /// AK-004\n#[derive(Debug)]\nstruct X;\n/// AK-005\n#[test_app(engines = \"all\")]\nasync fn too() {}\n\
                      on_both_engines! {\n    /// AK-006\n    async fn stored(test: TestDb) {\n    }\n}\n\
                      /// AK-007\nasync fn helper(test: &TestDb) {\n";
        let expected = named(&["AK-002", "AK-003", "AK-005", "AK-006"], &[]);
        assert_eq!(in_rust(source), expected);
    }
}
