use crate::serve::Site;
use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// Part of DB-207: a copy of a running server, restored elsewhere, and everything that is refused.
#[test]
fn a_backup_of_a_running_server_is_restored_elsewhere() {
    let site = Site::new(None, "");
    let mut server = site.start();
    server.ready();
    let file = site.folder.path().join("copy.ksb");
    let to = file.to_str().unwrap();
    let (good, text) = site.run(&["backup", "--to", to]);
    assert!(good && text.contains("sha256"), "{text}");
    let (good, text) = site.run(&["backup", "--to", to]);
    assert!(!good && text.contains("exists already"), "{text}");
    let (good, text) = site.run(&["restore", "--from", to]);
    assert!(!good && text.contains("another keystead process"), "{text}");
    server.stop();
    let (good, text) = site.run(&["restore", "--from", to]);
    assert!(!good && text.contains("not empty"), "{text}");

    let other = Site::new(None, "");
    let (good, text) = other.run(&["restore", "--from", to]);
    assert!(good && text.contains("restored"), "{text}");
    let (good, text) = other.run(&["doctor"]);
    assert!(good && text.contains("the root key fits"), "{text}");
    let mut server = other.start();
    server.ready();
    let said = server.stop();
    assert!(
        !said.contains("first start"),
        "the data was not there: {said}"
    );
}

/// A backup of a new installation, and the folder it lies in.
fn copied() -> (Site, PathBuf) {
    let site = Site::new(None, "");
    let mut server = site.start();
    server.ready();
    server.stop();
    let file = site.folder.path().join("copy.ksb");
    let (good, text) = site.run(&["backup", "--to", file.to_str().unwrap()]);
    assert!(good, "{text}");
    (site, file)
}

/// Names of what is in a folder.
fn names(folder: &Path) -> BTreeSet<OsString> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

/// Refused, and not even an empty database is made.
fn refuses(site: &Site, file: &Path, because: &str) {
    let before = names(site.folder.path());
    let (good, text) = site.run(&["restore", "--from", file.to_str().unwrap()]);
    assert!(!good && text.contains(because), "{because}: {text}");
    assert_eq!(names(site.folder.path()), before, "{because}");
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_nothing_behind() {
    let (_site, file) = copied();
    let whole = fs::read(&file).unwrap();
    let other = Site::new(None, "");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [
        &flipped[..],
        &whole[..whole.len() / 2],
        &whole[..whole.len() - 1],
        b"",
    ] {
        fs::write(&file, damaged).unwrap();
        refuses(&other, &file, "damaged");
    }
    fs::write(&file, &whole).unwrap();
    let (good, text) = other.run(&["restore", "--from", file.to_str().unwrap()]);
    assert!(good, "{text}");
}

/// Its checksum fits, so that the mistake shows only when it is written: still nothing is left.
#[test]
fn a_backup_that_does_not_fit_leaves_nothing_behind() {
    let (site, file) = copied();
    let whole = fs::read_to_string(&file).unwrap();
    let (lines, end) = whole.trim_end().rsplit_once('\n').unwrap();
    let lines = format!("{lines}\n");
    let changed = lines.replace("[\"display_name\",", "[\"name\",");
    assert!(lines != changed, "no such column");
    let sum = |text: &str| hex::encode(keystead_crypto::sha256(text.as_bytes()));
    let end = end.replace(&sum(&lines), &sum(&changed));
    let damaged = file.with_file_name("damaged.ksb");
    fs::write(&damaged, format!("{changed}{end}\n")).unwrap();
    let other = Site::new(None, "");
    let key = fs::read(site.folder.path().join("root.key")).unwrap();
    fs::write(other.folder.path().join("root.key"), key).unwrap();
    let before = names(other.folder.path());
    let (good, text) = other.run(&["restore", "--from", damaged.to_str().unwrap()]);
    assert!(!good && text.contains("columns that do not fit"), "{text}");
    let mut after = names(other.folder.path());
    after.retain(|name| Path::new(name).extension().is_none_or(|end| end != "lock"));
    assert_eq!(after, before);

    // What was there before stays, whatever is restored.
    let here = names(site.folder.path());
    let (good, text) = site.run(&["restore", "--from", file.to_str().unwrap()]);
    assert!(!good && text.contains("not empty"), "{text}");
    assert_eq!(names(site.folder.path()), here);

    let pipe = other.folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    refuses(&other, &pipe, "is a pipe and not a file");
}

#[test]
fn a_backup_is_not_restored_under_another_root_key() {
    let (site, file) = copied();
    let other = Site::new(None, "");
    let key = other.folder.path().join("root.key");
    fs::write(&key, "cd".repeat(31) + "ab").unwrap();
    refuses(&other, &file, "not the one the backup was written under");
    fs::remove_file(&key).unwrap();
    refuses(&other, &file, "the root key cannot be read");

    fs::copy(site.folder.path().join("root.key"), &key).unwrap();
    let (good, text) = other.run(&["restore", "--from", file.to_str().unwrap()]);
    assert!(good && text.contains("restored"), "{text}");
}
