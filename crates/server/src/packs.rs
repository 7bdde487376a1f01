//! Connector packs from a folder, over those that are built in (AK-003).
//!
//! The folder looks like `connectors/` of the source: `<slug>/connector.yaml` each. A file
//! `SHA256SUMS` at its top, as `sha256sum` writes it, vouches for them. What is not listed, does not
//! fit its sum or is no connector is left out, and never stops the server.

use crate::file_kind;
use keystead_agentkit::catalogue::{Catalogue, PackError};
use keystead_crypto::sha256;
use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

const SUMS: &str = "SHA256SUMS";
/// Largest pack, and largest list of sums, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// What became of the packs of a folder.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Keys of the connectors that were added or replaced.
    pub(crate) taken: Vec<String>,
    /// What was left out, and why.
    pub(crate) left_out: Vec<String>,
}

/// Puts the packs of a folder into the catalogue.
pub(crate) fn load(catalogue: &mut Catalogue, folder: &Path) -> Loaded {
    let mut loaded = Loaded::default();
    let left_out = &mut loaded.left_out;
    let sums = match bytes(folder, Path::new(SUMS)) {
        Ok(sums) => sums,
        Err(why) => {
            left_out.push(format!("all of them: {SUMS} cannot be read: {why}"));
            return loaded;
        }
    };
    let mut listed = BTreeSet::new();
    for (number, line) in (1..).zip(sums.split(|byte| *byte == b'\n')) {
        let Ok(line) = std::str::from_utf8(line) else {
            left_out.push(format!("line {number} of {SUMS} is not UTF-8"));
            continue;
        };
        if line.trim().is_empty() {
            continue;
        }
        // `sha256sum` puts a star before names of binary files.
        let Some((sum, name)) = line.trim_end().split_once(char::is_whitespace) else {
            left_out.push(format!("line {number} of {SUMS} is not a sum and a name"));
            continue;
        };
        let name = name.trim_start().trim_start_matches('*');
        listed.insert(Path::new(name).components().collect::<PathBuf>());
        match read(folder, name, sum).and_then(|pack| catalogue.put_pack(pack).map_err(in_words)) {
            Ok(key) => loaded.taken.push(key),
            Err(why) => left_out.push(format!("{name}: {why}")),
        }
    }
    for name in present(folder) {
        if !listed.contains(&name) {
            let name = name.display();
            left_out.push(format!("{name}: is not listed in {SUMS}"));
        }
    }
    loaded
}

/// What looks like a pack, by its path in the folder.
fn present(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.filter_map(|entry| {
        let name = PathBuf::from(entry.file_name());
        // Kubernetes keeps what it mounts in folders with a dot.
        if name.as_os_str().as_encoded_bytes().starts_with(b".") {
            return None;
        }
        let inner = name.join("connector.yaml");
        if fs::symlink_metadata(folder.join(&inner)).is_ok() {
            return Some(inner);
        }
        let is_yaml = name
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml");
        is_yaml.then_some(name)
    });
    paths.collect()
}

fn read(folder: &Path, name: &str, sum: &str) -> Result<serde_json::Value, String> {
    let path = Path::new(name);
    // SECURITY: the list names packs of this folder and nothing else.
    let below = path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !below {
        return Err("is not below the folder".to_owned());
    }
    let bytes = bytes(folder, path)?;
    // SECURITY: the very bytes that are read below, so that nobody changes them in between.
    if hex::encode(sha256(&bytes)) != sum.to_ascii_lowercase() {
        return Err(format!("does not fit its sum in {SUMS}"));
    }
    // SECURITY: neither here nor below the reader's own words, which repeat what they read.
    serde_yaml_ng::from_slice(&bytes).map_err(|error| match error.location() {
        Some(at) => format!("is not YAML at line {}, column {}", at.line(), at.column()),
        None => "is not YAML".to_owned(),
    })
}

/// Reads a file of the folder. Links may lead about in it (Kubernetes mounts files so), not out of it.
fn bytes(folder: &Path, path: &Path) -> Result<Vec<u8>, String> {
    let real = |path: &Path| fs::canonicalize(path).map_err(|error| error.to_string());
    let path = real(&folder.join(path))?;
    if !path.starts_with(real(folder)?) {
        return Err("is a link that leads out of the folder".to_owned());
    }
    file_kind::require_regular(&path)?;
    let size = fs::metadata(&path)
        .map_err(|error| error.to_string())?
        .len();
    if size > MAX_FILE {
        return Err(format!("is larger than {MAX_FILE} bytes"));
    }
    fs::read(&path).map_err(|error| error.to_string())
}

/// What is wrong with a pack, with names of keys and without their values.
fn in_words(error: PackError) -> String {
    let PackError::Form(error) = error else {
        return error.to_string();
    };
    let text = error.to_string();
    let names_a_key = ["missing field", "unknown field", "duplicate field"];
    if names_a_key.iter().any(|start| text.starts_with(start)) {
        return text;
    }
    match text.rsplit_once(", expected ") {
        Some((_, "struct Pack")) | None => "is not written as a pack".to_owned(),
        Some((_, expected)) => format!("has a value that is not as expected: {expected}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESK: &str = "
key: DESK
slug: desk
name: Desk
description: Tickets
categories: [Support]
display_priority: 1
base_url: https://desk.example.com
mcp: false
documentation: https://desk.example.com/docs
auth:
  - {type: BEARER, name: Token, description: Paste it, fields: [{name: token, label: Token, input: password, required: true}]}
";

    fn folder(packs: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut sums = String::new();
        for (name, text) in packs {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            let sum = hex::encode(sha256(text.as_bytes()));
            sums.extend([sum.as_str(), "  ", name, "\n"]);
        }
        fs::write(folder.path().join(SUMS), sums).unwrap();
        folder
    }

    /// AK-003: packs of the folder are added and replace built-in ones.
    #[test]
    fn packs_of_a_folder_are_taken() {
        let gmail = DESK
            .replace("DESK", "GMAIL")
            .replace("slug: desk", "slug: gmail");
        let folder = folder(&[
            ("desk/connector.yaml", DESK),
            ("gmail/connector.yaml", &gmail),
        ]);
        let mut catalogue = Catalogue::embedded();
        let before = catalogue.all().len();
        let loaded = load(&mut catalogue, folder.path());
        assert_eq!(
            (loaded.taken.as_slice(), loaded.left_out.len()),
            (&["DESK".to_owned(), "GMAIL".to_owned()][..], 0)
        );
        assert_eq!(catalogue.all().len(), before + 1);
        assert_eq!(catalogue.find("GMAIL").unwrap().display_name, "Desk");
    }

    /// AK-003: a pack that was changed, is none or is elsewhere is left out; the others are taken.
    #[test]
    fn a_bad_pack_is_left_out() {
        let http = DESK.replace("https://desk.example.com\n", "http://desk.example.com\n");
        let typing_error = DESK.replace("base_url", "baseurl");
        let folder = folder(&[
            ("changed/connector.yaml", DESK),
            ("http/connector.yaml", &http),
            ("typo/connector.yaml", &typing_error),
            ("junk/connector.yaml", "{["),
            ("desk/connector.yaml", DESK),
        ]);
        fs::write(
            folder.path().join("changed/connector.yaml"),
            format!("{DESK}#"),
        )
        .unwrap();
        fs::write(folder.path().join("unlisted.yaml"), DESK).unwrap();
        let sums = folder.path().join(SUMS);
        let more = fs::read_to_string(&sums).unwrap()
            + "00 ../outside.yaml\n00 /etc/passwd\n00  missing.yaml\nnonsense\n";
        fs::write(&sums, more).unwrap();
        let mut catalogue = Catalogue::embedded();
        let loaded = load(&mut catalogue, folder.path());
        assert_eq!(loaded.taken, ["DESK"]);
        let text = loaded.left_out.join("\n");
        for part in [
            "changed/connector.yaml: does not fit",
            "http/connector.yaml: base_url",
            "typo/connector.yaml: ",
            "junk/connector.yaml: ",
            "../outside.yaml: is not below",
            "/etc/passwd: is not below",
            "missing.yaml: ",
            "line 9 of SHA256SUMS is not a sum and a name",
            "unlisted.yaml: is not listed in SHA256SUMS",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(loaded.left_out.len(), 9);
    }

    /// AK-003: without sums nothing is vouched for; the built-in ones stay.
    #[test]
    fn without_sums_nothing_is_taken() {
        let folder = folder(&[("desk/connector.yaml", DESK)]);
        fs::remove_file(folder.path().join(SUMS)).unwrap();
        for path in [folder.path(), Path::new("/nowhere/at/all")] {
            let mut catalogue = Catalogue::embedded();
            let loaded = load(&mut catalogue, path);
            assert!(loaded.taken.is_empty() && loaded.left_out.len() == 1);
            assert!(catalogue.find("DESK").is_none() && catalogue.find("GMAIL").is_some());
        }
    }

    /// AK-003: a line that cannot be read is named, and costs the others nothing.
    #[test]
    fn one_bad_line_of_the_sums_costs_one_pack() {
        let folder = folder(&[("desk/connector.yaml", DESK)]);
        let sums = folder.path().join(SUMS);
        let listed = fs::read(&sums).unwrap();
        fs::write(&sums, [b"00  \xff.yaml\n".as_slice(), &listed].concat()).unwrap();
        let mut catalogue = Catalogue::embedded();
        let loaded = load(&mut catalogue, folder.path());
        assert_eq!(loaded.taken, ["DESK"]);
        assert_eq!(loaded.left_out, ["line 1 of SHA256SUMS is not UTF-8"]);
    }

    /// AK-003: what would wait for a writer, or is no file at all, is left out without being opened.
    #[test]
    fn only_regular_files_are_opened() {
        let folder = folder(&[("desk/connector.yaml", DESK)]);
        fs::create_dir_all(folder.path().join("box/connector.yaml")).unwrap();
        fs::create_dir(folder.path().join("pipe")).unwrap();
        let pipe = folder.path().join("pipe/connector.yaml");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let sums = folder.path().join(SUMS);
        let more = "00  box/connector.yaml\n00  pipe/connector.yaml\n";
        fs::write(&sums, fs::read_to_string(&sums).unwrap() + more).unwrap();
        let mut catalogue = Catalogue::embedded();
        let loaded = load(&mut catalogue, folder.path());
        assert_eq!(loaded.taken, ["DESK"]);
        assert_eq!(
            loaded.left_out,
            [
                "box/connector.yaml: is a folder and not a file",
                "pipe/connector.yaml: is a pipe and not a file",
            ]
        );
        fs::remove_file(&sums).unwrap();
        fs::rename(&pipe, &sums).unwrap();
        let loaded = load(&mut Catalogue::embedded(), folder.path());
        assert!(loaded.left_out[0].contains("is a pipe"), "{loaded:?}");
    }

    /// SECURITY: links stay in the folder, and no error repeats what a file holds.
    #[test]
    fn nothing_of_other_files_is_told() {
        let outside = tempfile::tempdir().unwrap();
        let secret = outside.path().join("secret");
        fs::write(&secret, "hunter2\n").unwrap();
        let value = DESK.replace("mcp: false", "mcp: hunter2");
        let variant = DESK.replace("type: BEARER", "type: hunter2");
        let folder = folder(&[
            ("real.yaml", DESK),
            ("text.yaml", "hunter2"),
            ("junk.yaml", "hunter2: [\n  hunter2: }"),
            ("value.yaml", &value),
            ("variant.yaml", &variant),
        ]);
        let link = |to: &Path, name: &str| {
            std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
        };
        link(&secret, "out.yaml");
        link(Path::new("real.yaml"), "in.yaml");
        let sums = folder.path().join(SUMS);
        let (out, inside) = (sha256(b"hunter2\n"), sha256(DESK.as_bytes()));
        let (out, inside) = (hex::encode(out), hex::encode(inside));
        let more = format!("{out}  out.yaml\n{inside}  in.yaml\n");
        fs::write(&sums, fs::read_to_string(&sums).unwrap() + &more).unwrap();
        let loaded = load(&mut Catalogue::embedded(), folder.path());
        assert_eq!(loaded.taken, ["DESK", "DESK"], "{loaded:?}");
        let text = loaded.left_out.join("\n");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(
            text.contains("out.yaml: is a link that leads out of the folder"),
            "{text}"
        );
        assert!(text.contains("junk.yaml: is not YAML at line "), "{text}");
        assert!(
            text.contains("value.yaml: has a value that is not as expected: a boolean"),
            "{text}"
        );
        assert_eq!(loaded.left_out.len(), 5, "{text}");
    }
}
