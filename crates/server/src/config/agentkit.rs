//! Connectors and connections.

use super::{Remark, rules::remark};
use crate::{declared, packs, secret_source::SecretSource};
use keystead_agentkit::{catalogue::Catalogue, providers::AuthKind};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// Connectors and connections.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentKit {
    /// OAuth apps that connections of every environment may use instead of their own.
    #[serde(default)]
    pub(crate) oauth_apps: Vec<OauthApp>,
    /// Folder of connector packs, over those that are built in.
    pub(crate) connector_packs: Option<PathBuf>,
    /// File of connectors and connections that the default environment has after every start.
    pub(crate) apply: Option<PathBuf>,
}

/// An OAuth app that the operator registered at a provider (AK-107).
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OauthApp {
    /// Connector keys.
    pub(crate) providers: Vec<String>,
    /// Client id.
    pub(crate) client_id: String,
    /// Where the client secret is.
    pub(crate) client_secret: SecretSource,
}

impl AgentKit {
    /// Rules that are broken.
    pub(super) fn broken(&self) -> Vec<Remark> {
        let mut found = Vec::new();
        let mut catalogue = Catalogue::embedded();
        if let Some(folder) = &self.connector_packs {
            packs::load(&mut catalogue, folder);
        }
        self.check_apps(&catalogue, &mut |text| {
            found.push(remark("agentkit.oauth_apps", text));
        });
        if let Some(path) = &self.apply
            && let Err(error) = declared::read(path)
        {
            let text = format!("names a file that cannot be applied: {error:#}");
            found.push(remark("agentkit.apply", text));
        }
        found
    }

    fn check_apps(&self, catalogue: &Catalogue, say: &mut impl FnMut(String)) {
        let mut served = BTreeSet::new();
        for app in &self.oauth_apps {
            if app.client_id.is_empty() || app.providers.is_empty() {
                say("takes providers and a client_id for each app".to_owned());
            }
            if let Err(why) = app.client_secret.check() {
                say(format!("has a client_secret that {why}"));
            }
            for key in &app.providers {
                let known = catalogue.find(key).is_some_and(|found| {
                    let mut patterns = found.auth_patterns.iter();
                    found.identifier == *key
                        && patterns.any(|pattern| pattern.kind == AuthKind::Oauth)
                });
                if !known {
                    say(format!("names `{key}`, which is no connector with OAuth"));
                }
                if !served.insert(key) {
                    say(format!("has two apps for `{key}`"));
                }
            }
        }
    }
}
