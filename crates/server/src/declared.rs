//! Files that declare connectors and connections (AK-122).

use crate::{
    config::{File, in_words},
    file_kind,
    secret_source::SecretSource,
};
use anyhow::{Context as _, Result, anyhow, bail};
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
    if let Err(why) = file_kind::require_regular(path) {
        bail!("the file {} {why}", path.display());
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
    let texts: serde_json::Value = Figment::from(Toml::string(&text)).extract()?;
    if let Some(place) = nul(&texts) {
        let path = path.display();
        bail!("{path} is wrong: {place} has a text with the character U+0000");
    }
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

/// Where a text has U+0000, which a database may not be able to store.
fn nul(value: &serde_json::Value) -> Option<String> {
    let below = |name: String, inner| {
        let place = nul(inner)?;
        Some(if place.is_empty() {
            name
        } else {
            format!("{name}.{place}")
        })
    };
    match value {
        serde_json::Value::String(text) => text.contains('\0').then(String::new),
        serde_json::Value::Array(items) => {
            let mut items = (1..).zip(items);
            items.find_map(|(number, item): (u32, _)| below(number.to_string(), item))
        }
        serde_json::Value::Object(fields) => fields.iter().find_map(|(name, inner)| {
            if name.contains('\0') {
                return Some("a name".to_owned());
            }
            below(name.clone(), inner)
        }),
        _ => None,
    }
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
            done => return done.map_err(every_field),
        }
    }
}

/// Tells every field that is wrong, not only the first.
pub(crate) fn every_field(error: Error) -> anyhow::Error {
    let Error::Invalid(fields) = error else {
        return error.into();
    };
    let texts = fields
        .iter()
        .map(|one| format!("{} {}", one.field, one.description));
    anyhow!("{}", texts.collect::<Vec<_>>().join("; "))
}
