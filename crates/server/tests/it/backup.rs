use crate::serve::Site;
use std::fs;

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

#[test]
fn a_damaged_backup_is_refused_and_leaves_nothing_behind() {
    let site = Site::new(None, "");
    let mut server = site.start();
    server.ready();
    server.stop();
    let file = site.folder.path().join("copy.ksb");
    let (good, text) = site.run(&["backup", "--to", file.to_str().unwrap()]);
    assert!(good, "{text}");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();

    let other = Site::new(None, "");
    let (good, text) = other.run(&["restore", "--from", file.to_str().unwrap()]);
    assert!(!good && text.contains("damaged"), "{text}");
    assert!(!other.folder.path().join("keystead.db").exists());
}

#[test]
fn restoring_under_another_root_key_is_said() {
    let site = Site::new(None, "");
    let mut server = site.start();
    server.ready();
    server.stop();
    let file = site.folder.path().join("copy.ksb");
    site.run(&["backup", "--to", file.to_str().unwrap()]);

    let other = Site::new(None, "");
    fs::write(other.folder.path().join("root.key"), "cd".repeat(31) + "ab").unwrap();
    let (good, text) = other.run(&["restore", "--from", file.to_str().unwrap()]);
    assert!(
        !good && text.contains("not the one it was written under"),
        "{text}"
    );
}
