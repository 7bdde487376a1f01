//! Files that declare connectors and connections (AK-122).

use crate::{
    config::{File, in_words},
    secret_source::SecretSource,
};
use anyhow::{Context as _, Result, bail};
use figment::{
    Figment,
    providers::{Format, Toml},
};
use keystead_agentkit::{
    AgentKit, Error,
    declared::{Declaration, Plan, Undeclared},
};
use keystead_identity::Actor;
use keystead_types::{EnvironmentId, Secret};
use std::{fs, path::Path};

/// How often a file is applied when others change the same things at the same moment.
const TRIES: usize = 3;

/// Reads a file. Secrets stay where they are.
///
/// # Errors
/// Every mistake that can be seen in the file alone.
pub(crate) fn read(path: &Path) -> Result<Declaration<SecretSource>> {
    if !path.is_file() {
        bail!("the file {} does not exist", path.display());
    }
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    // SECURITY: the reader's own words repeat values, and what is wrong may be a pasted secret.
    File::of(path.to_owned(), &text)?;
    let declared: Declaration<SecretSource> = match Figment::from(Toml::string(&text)).extract() {
        Ok(declared) => declared,
        Err(error) => {
            let found = error.into_iter().map(|one| {
                let (place, text) = in_words(&one);
                format!("{} {text}", place.join("."))
            });
            let found: Vec<String> = found.collect();
            bail!("{} is wrong: {}", path.display(), found.join("; "));
        }
    };
    for connection in &declared.connections {
        let secrets = [&connection.client_secret, &connection.developer_token];
        for source in secrets.into_iter().flatten() {
            if let Err(why) = source.check() {
                bail!(
                    "{}: connection {}: a secret {why}",
                    path.display(),
                    connection.name
                );
            }
        }
    }
    Ok(declared)
}

/// Reads a file with its secrets.
///
/// # Errors
/// Those of [`read`], and of secrets that are not where they should be.
pub(crate) fn read_all(path: &Path) -> Result<Declaration<Secret<String>>> {
    read(path)?.with_secrets(|name, source| {
        let secret = source.read();
        secret.with_context(|| format!("a secret of the connection {name}"))
    })
}

/// Makes what is declared, again when somebody else was faster with a part of it.
///
/// # Errors
/// Those of [`AgentKit::apply`].
pub(crate) async fn apply(
    kit: &AgentKit,
    env: EnvironmentId,
    actor: &Actor,
    declared: &Declaration<Secret<String>>,
    undeclared: Undeclared,
) -> Result<Plan> {
    let mut tries = 1;
    loop {
        match kit.apply(env, actor, declared, undeclared).await {
            // Another node that starts at the same moment makes the same.
            Err(Error::Conflict | Error::ConnectionNameTaken(_) | Error::ProviderNameTaken(_))
                if tries < TRIES =>
            {
                tries += 1;
            }
            Err(Error::Invalid(fields)) => {
                let texts = fields
                    .iter()
                    .map(|one| format!("{} {}", one.field, one.description));
                bail!("{}", texts.collect::<Vec<_>>().join("; "));
            }
            done => return Ok(done?),
        }
    }
}
