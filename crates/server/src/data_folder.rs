//! The folder of `dev`: what is in it, and that only one server uses it.

use anyhow::{Context, Result, bail};
use std::{
    fs::{self, DirBuilder, File, TryLockError},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Files and folders that belong to us; `--fresh` deletes nothing else.
const OURS: [&str; 8] = [
    "keystead.db",
    "keystead.db-wal",
    "keystead.db-shm",
    "root.key",
    "dev.env",
    "dev.env.new",
    "tls",
    "mailbox",
];

/// A data folder that this process holds alone.
pub(crate) struct DataFolder {
    path: PathBuf,
    /// Held as long as the process runs; the operating system gives it back after a crash.
    _lock: File,
}

impl DataFolder {
    /// Makes or takes the folder; `fresh` empties it first.
    pub(crate) fn open(path: &Path, fresh: bool) -> Result<Self> {
        let failed = || format!("use the data folder {}", path.display());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(failed)?;
        let path = path.canonicalize().with_context(failed)?;
        let lock = lock(&path.join("lock"))?;
        let folder = Self { path, _lock: lock };
        if fresh {
            folder.clear()?;
        }
        Ok(folder)
    }

    /// Path of something in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn clear(&self) -> Result<()> {
        for name in OURS {
            let path = self.join(name);
            let removed = match fs::symlink_metadata(&path) {
                Err(_) => continue,
                Ok(found) if found.is_dir() => fs::remove_dir_all(&path),
                Ok(_) => fs::remove_file(&path),
            };
            removed.with_context(|| format!("delete {}", path.display()))?;
        }
        Ok(())
    }
}

/// Takes the lock, or says that another server runs.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another keystead process uses this data (it holds {}): stop it first",
            path.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("lock {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_deletes_what_is_ours_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        for name in ["keystead.db", "root.key", "notes.txt"] {
            fs::write(root.path().join(name), "x").unwrap();
        }
        let folder = DataFolder::open(root.path(), true).unwrap();
        assert!(!folder.join("root.key").exists() && !folder.join("keystead.db").exists());
        assert!(folder.join("notes.txt").exists());
    }

    #[test]
    fn a_folder_has_one_server() {
        let root = tempfile::tempdir().unwrap();
        let first = DataFolder::open(root.path(), false).unwrap();
        let Err(error) = DataFolder::open(root.path(), true) else {
            panic!("two servers")
        };
        assert!(
            error.to_string().contains("another keystead process"),
            "{error}"
        );
        drop(first);
        assert!(DataFolder::open(root.path(), false).is_ok());
    }
}
