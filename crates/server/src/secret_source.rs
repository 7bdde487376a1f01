//! A secret that the configuration refers to: it is in a file or in an environment variable, never in
//! the configuration itself.

use crate::private_file;
use anyhow::{Context, Result, bail};
use keystead_types::Secret;
use serde::{Deserialize, Serialize};
use std::{env, fs, path::PathBuf};
use zeroize::Zeroizing;

/// Where a secret is: exactly one of the two.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretSource {
    /// A file that holds it; white space at the end does not count.
    pub(crate) file: Option<PathBuf>,
    /// Name of an environment variable that holds it.
    pub(crate) environment: Option<String>,
}

impl SecretSource {
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        match (&self.file, &self.environment) {
            (Some(_), None) | (None, Some(_)) => Ok(()),
            _ => Err("takes either file or environment"),
        }
    }

    /// Reads the secret.
    ///
    /// # Errors
    /// When it is not there or empty; the text names the place, never the content.
    pub(crate) fn read(&self) -> Result<Secret<String>> {
        let (place, text) = match (&self.file, &self.environment) {
            (Some(path), None) => {
                if let Some(why) = private_file::of_secret(path) {
                    bail!("{why}");
                }
                let place = format!("the file {}", path.display());
                let text = fs::read_to_string(path).with_context(|| format!("read {place}"))?;
                (place, Zeroizing::new(text))
            }
            (None, Some(name)) => {
                let place = format!("the environment variable {name}");
                let Ok(text) = env::var(name) else {
                    bail!("{place} is not set");
                };
                (place, Zeroizing::new(text))
            }
            _ => bail!("a secret takes either file or environment"),
        };
        let text = text.trim_end();
        if text.is_empty() {
            bail!("{place} is empty");
        }
        Ok(Secret::new(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    #[test]
    fn a_secret_is_read_from_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let source = SecretSource {
            file: Some(path.clone()),
            environment: None,
        };
        assert!(source.read().is_err());
        fs::write(&path, " \n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let error = source.read().unwrap_err().to_string();
        assert!(
            error.contains("a secret that the configuration refers to"),
            "{error}"
        );
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let error = format!("{:#}", source.read().unwrap_err());
        assert!(error.contains("is empty"), "{error}");
        fs::write(&path, "hunter2\n").unwrap();
        assert_eq!(source.read().unwrap().expose(), "hunter2");
        let unset = SecretSource {
            file: None,
            environment: Some("KEYSTEAD_TEST_NOT_SET".to_owned()),
        };
        let error = unset.read().unwrap_err().to_string();
        assert!(error.contains("KEYSTEAD_TEST_NOT_SET"), "{error}");
        let both = SecretSource {
            file: Some(path),
            ..unset
        };
        assert!(both.check().is_err() && both.read().is_err());
    }
}
