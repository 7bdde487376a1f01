//! `dev.env`: plain `KEY=value` lines that a shell can source and every dotenv reader understands.

use crate::certificate::write_private;
use anyhow::{Context, Result};
use std::{collections::HashMap, fs, path::Path};

/// Reads the file; empty when there is none.
pub(crate) fn read(path: &Path) -> HashMap<String, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let pairs = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.trim().to_owned(), unquoted(value.trim())))
        .collect()
}

/// What a reader of the file has to know; no line of it looks like a setting.
const NOTE: &str = "\
# Written by `keystead dev` at every start. It holds a secret.
# SSL_CERT_FILE and the like name the roots of this system and the local authority of `keystead dev`
# in one file, so that other hosts keep working. Every program started from a shell that loads them
# reads them: load them only where you call this server, and unset them afterwards.
";

/// Replaces the file in one step, readable for its owner only.
pub(crate) fn write(path: &Path, pairs: &[(&str, &str)]) -> Result<()> {
    let mut text = String::from(NOTE);
    for (key, value) in pairs {
        text.extend([key, "=", &quoted(value), "\n"]);
    }
    let new = path.with_extension("env.new");
    write_private(&new, text.as_bytes())?;
    fs::rename(&new, path).with_context(|| format!("write {}", path.display()))
}

/// Quotes only what a shell would not take as it is.
fn quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/:._-@%+=,".contains(&byte);
    if value.bytes().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

fn unquoted(value: &str) -> String {
    match value
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
    {
        Some(inner) => inner.replace(r"'\''", "'"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_by_us_and_by_a_shell() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev.env");
        let odd = "/tmp/it's here/$HOME";
        write(&path, &[("URL", "https://localhost:8443"), ("CA", odd)]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nURL=https://localhost:8443\n"), "{text}");
        assert_eq!(read(&path)["CA"], odd);
        let shell = std::process::Command::new("sh")
            .args(["-c", ". \"$0\"; printf %s \"$CA\""])
            .arg(&path)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&shell.stdout), odd);
    }
}
