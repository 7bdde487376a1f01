//! Files that hold secrets must be closed to the other users of the machine.

use crate::config::Config;
use anyhow::{Result, bail};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

/// Permissions that a file of the server's own user must not have.
const OF_OTHERS: u32 = 0o077;
/// The same for a file of root: its group may read, because that is how root hands a secret to one
/// service (`root:keystead` 640, and what Kubernetes makes of a mounted secret with `fsGroup`).
const OF_OTHERS_WHEN_ROOTS: u32 = 0o037;

/// Refuses to go on while the configuration file or the root key's file is open to others.
///
/// SECURITY: a backup or a database that leaks is worthless without the root key; a key that every
/// user of the machine can read takes that away without anybody noticing.
pub(crate) fn require_closed(file: Option<&Path>, config: &Config) -> Result<()> {
    let found = [file.and_then(of_configuration), of_root_key(config)];
    let found: Vec<String> = found.into_iter().flatten().collect();
    if found.is_empty() {
        return Ok(());
    }
    bail!("{}", found.join("; "))
}

/// Why the configuration file is too open, and what to do.
pub(crate) fn of_configuration(path: &Path) -> Option<String> {
    let what = "the configuration, which may hold passwords,";
    problem(path, what)
}

/// Why the root key's file is too open, and what to do. A systemd credential is no concern of ours:
/// systemd keeps it in a folder of the unit.
pub(crate) fn of_root_key(config: &Config) -> Option<String> {
    let what = "the root key, which opens every stored credential,";
    problem(config.root_key.file.as_deref()?, what)
}

/// Why the file of another secret that the configuration refers to is too open, and what to do.
pub(crate) fn of_secret(path: &Path) -> Option<String> {
    problem(path, "a secret that the configuration refers to")
}

/// `None` also for a file that is not there: whoever reads it says so.
fn problem(path: &Path, what: &str) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    let mode = metadata.permissions().mode() & 0o7777;
    let is_roots = metadata.uid() == 0;
    let forbidden = if is_roots {
        OF_OTHERS_WHEN_ROOTS
    } else {
        OF_OTHERS
    };
    if mode & forbidden == 0 {
        return None;
    }
    let path = path.display();
    let alternative = if is_roots {
        ", or chmod 640 and give it the group of the server"
    } else {
        ""
    };
    Some(format!(
        "{what} is open to other users of this machine ({path} has mode {mode:03o}): chmod 600 {path}{alternative}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_closed_to_others_pass() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        fs::write(&path, "x").unwrap();
        let is_roots = fs::metadata(&path).unwrap().uid() == 0;
        for (mode, closed) in [
            (0o400, true),
            (0o600, true),
            (0o440, is_roots),
            (0o640, is_roots),
            (0o660, false),
            (0o650, false),
            (0o604, false),
            (0o602, false),
            (0o644, false),
            (0o666, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let found = problem(&path, "it");
            assert_eq!(found.is_none(), closed, "{mode:o}: {found:?}");
        }
    }

    /// Kubernetes mounts secrets as links to a file with the mode.
    #[test]
    fn what_counts_is_the_file_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(problem(&link, "it").unwrap().contains("mode 644"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(problem(&link, "it"), None);
    }
}
