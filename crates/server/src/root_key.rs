//! Where the root key comes from. It is never in the database, in a log or in an error.

use crate::{certificate::write_private, config::RootKeySource};
use anyhow::{Context, Result, bail};
use keystead_crypto::{RootKey, SystemRng};
use std::{env, fs, path::Path};
use zeroize::Zeroizing;

/// Reads the root key from the place the configuration names.
pub(crate) fn load(source: &RootKeySource) -> Result<RootKey> {
    let (place, text) = if let Some(path) = &source.file {
        (format!("the file {}", path.display()), read(path)?)
    } else if let Some(name) = &source.environment {
        let value = env::var(name).with_context(|| {
            format!("the root key is expected in the environment variable {name}")
        })?;
        (
            format!("the environment variable {name}"),
            Zeroizing::new(value),
        )
    } else if let Some(name) = &source.systemd_credential {
        let folder = env::var("CREDENTIALS_DIRECTORY").context(
            "the root key is expected as a systemd credential, but CREDENTIALS_DIRECTORY is not set: \
             start the server as a unit with LoadCredential=",
        )?;
        let text = read(&Path::new(&folder).join(name))?;
        (format!("the systemd credential {name}"), text)
    } else {
        bail!("no place of the root key is configured");
    };
    RootKey::parse(&text).with_context(|| format!("the root key in {place} is not usable"))
}

/// Reads the key file of `dev`, or makes it.
pub(crate) fn load_or_create(path: &Path) -> Result<RootKey> {
    if path.is_file() {
        let text = read(path)?;
        return RootKey::parse(&text)
            .with_context(|| format!("the root key in {} is not usable", path.display()));
    }
    let key = RootKey::generate(&SystemRng);
    write_private(path, key.to_text().expose().as_bytes())?;
    Ok(key)
}

fn read(path: &Path) -> Result<Zeroizing<String>> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("the root key cannot be read from {}", path.display()))?;
    Ok(Zeroizing::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_key_is_private_and_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let first = load_or_create(&path).unwrap();
        let again = load_or_create(&path).unwrap();
        assert!(again.has_fingerprint(&first.fingerprint()));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_error_names_the_place_and_not_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        fs::write(&path, "hunter2").unwrap();
        let error = format!("{:#}", load_or_create(&path).unwrap_err());
        assert!(
            error.contains("root.key") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
