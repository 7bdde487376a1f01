//! The built-in connectors: data embedded in the binary (AK-001, AK-003).

mod pack;

use crate::providers::Provider;
use pack::Pack;
use std::{collections::BTreeMap, sync::Arc};

static EMBEDDED: &str = include_str!(concat!(env!("OUT_DIR"), "/connectors.json"));

/// All built-in connectors, by key.
#[derive(Debug)]
pub struct Catalogue {
    by_key: BTreeMap<String, Arc<Provider>>,
}

impl Catalogue {
    /// Reads the embedded packs. A pack that does not parse is logged and left out: one bad
    /// connector never stops the server (AK-003); a test makes sure that none is.
    pub fn embedded() -> Self {
        let values: Vec<serde_json::Value> = serde_json::from_str(EMBEDDED).unwrap_or_default();
        let mut by_key = BTreeMap::new();
        for value in values {
            let key = value.get("key").map(ToString::to_string);
            match serde_json::from_value::<Pack>(value) {
                Ok(pack) => {
                    let provider = pack.into_provider();
                    by_key.insert(provider.identifier.clone(), Arc::new(provider));
                }
                Err(error) => tracing::error!(?key, %error, "connector pack left out"),
            }
        }
        Self { by_key }
    }

    /// Adds or replaces a connector; used for the development provider.
    #[must_use]
    pub fn with(mut self, provider: Provider) -> Self {
        self.by_key
            .insert(provider.identifier.clone(), Arc::new(provider));
        self
    }

    /// The connector of a key; keys are upper case and matched without regard to case.
    pub fn find(&self, key: &str) -> Option<&Arc<Provider>> {
        self.by_key
            .get(key)
            .or_else(|| self.by_key.get(&key.to_ascii_uppercase()))
    }

    /// All connectors, most popular first.
    pub fn all(&self) -> Vec<Arc<Provider>> {
        let mut all: Vec<_> = self.by_key.values().cloned().collect();
        all.sort_by(|a, b| {
            (a.display_priority, &a.identifier).cmp(&(b.display_priority, &b.identifier))
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::AuthKind;

    /// Part of AK-001: every connector of the catalogue, complete.
    #[test]
    fn every_pack_loads_and_is_complete() {
        let packs: Vec<serde_json::Value> = serde_json::from_str(EMBEDDED).unwrap();
        for pack in packs.clone() {
            let name = pack["key"].clone();
            serde_json::from_value::<Pack>(pack).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let catalogue = Catalogue::embedded();
        assert_eq!(packs.len(), 85);
        assert_eq!(catalogue.all().len(), 85);
        for provider in catalogue.all() {
            let key = &provider.identifier;
            assert!(!provider.description.is_empty(), "{key}");
            assert!(!provider.categories.is_empty(), "{key}");
            assert!(provider.proxy_url.starts_with("https://"), "{key}");
            assert!(!provider.auth_patterns.is_empty(), "{key}");
        }
    }

    /// AK-008b, AK-471: so does a templated host of the base URL; a list of any host is for servers that
    /// the customer runs himself.
    #[test]
    fn templated_hosts_come_with_allowed_hosts() {
        let mut anywhere = Vec::new();
        for provider in Catalogue::embedded().all() {
            let patterns = &provider.auth_patterns;
            let authority = provider.proxy_url.split('/').nth(2).unwrap_or_default();
            let listed = patterns
                .iter()
                .all(|pattern| !pattern.allowed_proxy_domains.is_empty());
            assert!(
                listed || !authority.contains("{{"),
                "{}",
                provider.identifier
            );
            let any = |pattern: &crate::providers::AuthPattern| {
                pattern.allowed_proxy_domains.iter().any(|host| host == "*")
            };
            if patterns.iter().any(any) {
                anywhere.push(provider.identifier.clone());
            }
        }
        assert_eq!(anywhere, ["TABLEAU"]);
    }

    /// AK-025, AK-471: a templated endpoint needs a host allow-list, or a connection's client
    /// secret could be sent to a host of the user's choosing.
    #[test]
    fn templated_endpoints_come_with_allowed_hosts() {
        for provider in Catalogue::embedded().all() {
            for pattern in &provider.auth_patterns {
                let Some(oauth) = &pattern.oauth_config else {
                    continue;
                };
                let templated = [&oauth.authorize_uri, &oauth.token_uri]
                    .into_iter()
                    .flatten()
                    .any(|uri| uri.contains("{{"));
                assert!(
                    !templated || !pattern.allowed_proxy_domains.is_empty(),
                    "{}",
                    provider.identifier
                );
            }
        }
    }

    /// Part of AK-005: the mix of auth patterns in the catalogue.
    #[test]
    fn the_catalogue_has_every_kind_of_auth() {
        let all = Catalogue::embedded().all();
        let has = |kind: AuthKind| {
            all.iter()
                .any(|provider| provider.auth_patterns.iter().any(|p| p.kind == kind))
        };
        for kind in [
            AuthKind::Oauth,
            AuthKind::Basic,
            AuthKind::Bearer,
            AuthKind::ApiKey,
            AuthKind::OauthM2m,
            AuthKind::TrelloOauth1,
            AuthKind::ServiceAccount,
            AuthKind::KeyPair,
        ] {
            assert!(has(kind), "{kind:?}");
        }
    }
}
