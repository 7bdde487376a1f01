//! Connector packs from a folder, over those that are built in (AK-003).
//!
//! The folder looks like `connectors/` of the source: `<slug>/connector.yaml` each. A file
//! `SHA256SUMS` at its top, as `sha256sum` writes it, vouches for them. What is not listed, does not
//! fit its sum or is no connector is left out, and never stops the server.

use keystead_agentkit::catalogue::Catalogue;
use keystead_crypto::sha256;
use std::{
    fs,
    path::{Component, Path},
};

const SUMS: &str = "SHA256SUMS";
/// Largest pack, in bytes.
const MAX_PACK: u64 = 1024 * 1024;

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
    let sums = match fs::read_to_string(folder.join(SUMS)) {
        Ok(sums) => sums,
        Err(error) => {
            loaded
                .left_out
                .push(format!("all of them: {SUMS} cannot be read: {error}"));
            return loaded;
        }
    };
    for line in sums.lines().filter(|line| !line.trim().is_empty()) {
        // `sha256sum` puts a star before names of binary files.
        let Some((sum, name)) = line.split_once(char::is_whitespace) else {
            loaded
                .left_out
                .push(format!("a line of {SUMS} that is none"));
            continue;
        };
        let name = name.trim_start().trim_start_matches('*');
        match read(folder, name, sum).and_then(|pack| {
            let put = catalogue.put_pack(pack);
            put.map_err(|error| error.to_string())
        }) {
            Ok(key) => loaded.taken.push(key),
            Err(why) => loaded.left_out.push(format!("{name}: {why}")),
        }
    }
    loaded
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
    let path = folder.join(path);
    let size = fs::metadata(&path)
        .map_err(|error| error.to_string())?
        .len();
    if size > MAX_PACK {
        return Err(format!("is larger than {MAX_PACK} bytes"));
    }
    let bytes = fs::read(&path).map_err(|error| error.to_string())?;
    // SECURITY: the very bytes that are read below, so that nobody changes them in between.
    if hex::encode(sha256(&bytes)) != sum.to_ascii_lowercase() {
        return Err(format!("does not fit its sum in {SUMS}"));
    }
    serde_yaml_ng::from_slice(&bytes).map_err(|error| error.to_string())
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
            "a line of SHA256SUMS",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(loaded.left_out.len(), 8);
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
}
