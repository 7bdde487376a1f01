//! What is at a path. To open a pipe would wait for a writer, for ever.

use std::{fs, io::ErrorKind, os::unix::fs::FileTypeExt, path::Path};

/// Says why there is no regular file at `path`, in words that follow its name.
///
/// # Errors
/// The words.
pub(crate) fn require_regular(path: &Path) -> Result<(), String> {
    let kind = match fs::metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err("does not exist".to_owned());
        }
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(format!("is {what} and not a file"))
}
