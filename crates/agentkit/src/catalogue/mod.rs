//! The built-in connectors: data embedded in the binary (AK-001, AK-003).

mod check;
mod pack;

pub use check::PackError;

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
            match provider_of(value) {
                Ok(provider) => {
                    by_key.insert(provider.identifier.clone(), Arc::new(provider));
                }
                Err(error) => tracing::error!(?key, %error, "connector pack left out"),
            }
        }
        Self { by_key }
    }

    /// Adds a pack, or puts it in the place of the one of the same key; gives the key (AK-003).
    ///
    /// # Errors
    /// [`PackError`] says what is wrong with it; the catalogue is then as before.
    pub fn put_pack(&mut self, pack: serde_json::Value) -> Result<String, PackError> {
        let provider = provider_of(pack)?;
        let key = provider.identifier.clone();
        let mut others = self.by_key.values();
        if others.any(|other| other.identifier != key && other.slug == provider.slug) {
            return Err(PackError::Slug(provider.slug));
        }
        self.by_key.insert(key.clone(), Arc::new(provider));
        Ok(key)
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

/// Reads and checks a pack.
fn provider_of(pack: serde_json::Value) -> Result<Provider, PackError> {
    let provider = serde_json::from_value::<Pack>(pack)?.into_provider();
    check::check(&provider)?;
    Ok(provider)
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
            provider_of(pack).unwrap_or_else(|error| panic!("{name}: {error}"));
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

    fn box_pack() -> serde_json::Value {
        let packs: Vec<serde_json::Value> = serde_json::from_str(EMBEDDED).unwrap();
        packs.into_iter().find(|pack| pack["key"] == "BOX").unwrap()
    }

    /// Part of AK-003
    #[test]
    fn a_pack_takes_the_place_of_another_one() {
        let mut catalogue = Catalogue::embedded();
        let mut pack = box_pack();
        pack["description"] = "Newer".into();
        assert_eq!(catalogue.put_pack(pack.clone()).unwrap(), "BOX");
        assert_eq!(catalogue.find("BOX").unwrap().description, "Newer");
        assert_eq!(catalogue.all().len(), 85);
        pack["key"] = "BOX_EU".into();
        let taken = catalogue.put_pack(pack.clone()).unwrap_err();
        assert!(matches!(taken, PackError::Slug(_)), "{taken}");
        pack["slug"] = "box_eu".into();
        assert_eq!(catalogue.put_pack(pack).unwrap(), "BOX_EU");
        assert_eq!(catalogue.all().len(), 86);
    }

    /// Part of AK-003, part of AK-471: what could send a credential astray is no connector.
    #[test]
    fn a_bad_pack_changes_nothing() {
        let bad: [(&str, serde_json::Value); 9] = [
            ("/no_such_key", 1.into()),
            ("/key", "box".into()),
            ("/key", "BOX:1".into()),
            ("/slug", "../box".into()),
            ("/name", "".into()),
            ("/base_url", "http://api.box.com".into()),
            ("/base_url", "https://{{domain}}/api".into()),
            ("/auth", serde_json::json!([])),
            ("/auth/0/oauth/token_url", "http://api.box.com/token".into()),
        ];
        for (at, value) in bad {
            let mut pack = box_pack();
            if at == "/base_url" {
                pack["allowed_domains"] = serde_json::json!([]);
            }
            match pack.pointer_mut(at) {
                Some(place) => *place = value.clone(),
                None => pack[at.trim_start_matches('/')] = value.clone(),
            }
            let mut catalogue = Catalogue::embedded();
            let before = catalogue.find("BOX").unwrap().clone();
            assert!(catalogue.put_pack(pack).is_err(), "{at} = {value}");
            assert_eq!(catalogue.find("BOX"), Some(&before), "{at} = {value}");
            assert_eq!(catalogue.all().len(), 85);
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
