use super::super::{desk::Desk, json, trouble::Trouble, words};
use crate::failure::Failure;
use keystead_proto::v1::providers::{
    ListProvidersRequest, Provider, ProviderType, list_providers_request::Filter,
};
use serde_json::Value as Json;
use std::collections::HashMap;

/// A connector with its auth patterns as JSON.
pub(crate) struct Connector {
    pub(crate) provider: Provider,
    /// The patterns (AK-007), with whatever keys they hold.
    pub(crate) patterns: Vec<Json>,
}

impl Connector {
    fn new(mut provider: Provider) -> Self {
        let patterns = provider
            .auth_patterns
            .take()
            .map(|list| json::from_list(&list))
            .unwrap_or_default();
        Self { provider, patterns }
    }

    /// The types of its patterns.
    pub(crate) fn auth_types(&self) -> Vec<&str> {
        self.patterns
            .iter()
            .map(|pattern| text(pattern, "type"))
            .filter(|kind| !kind.is_empty())
            .collect()
    }

    /// In words: how accounts authenticate.
    pub(crate) fn how(&self) -> String {
        let kinds: Vec<&str> = self
            .auth_types()
            .into_iter()
            .map(words::auth_type)
            .collect();
        kinds.join(", ")
    }

    /// The permissions its OAuth patterns offer, as the service names them.
    pub(crate) fn scopes(&self) -> Vec<String> {
        let offered = self
            .patterns
            .iter()
            .filter_map(|pattern| pattern.get("oauth_config"))
            .flat_map(|oauth| list(oauth, "available_scopes"));
        let mut scopes: Vec<String> = Vec::new();
        for scope in offered.map(|scope| text(scope, "scope")) {
            // Patterns for the same API offer the same ones.
            if !scopes.iter().any(|known| known == scope) {
                scopes.push(scope.to_owned());
            }
        }
        scopes
    }

    /// Its categories, and whether it is the workspace's own.
    pub(crate) fn tags(&self) -> Vec<String> {
        let own = match (self.provider.is_custom_mcp, self.provider.is_custom) {
            (true, _) => Some("Custom MCP"),
            (false, true) => Some("Custom"),
            (false, false) => None,
        };
        let soon = self.provider.coming_soon.then_some("Coming soon");
        let special = own.into_iter().chain(soon).map(str::to_owned);
        special
            .chain(self.provider.categories.iter().take(2).cloned())
            .collect()
    }
}

/// A text of a JSON object; empty when absent.
pub(crate) fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json.get(key).and_then(Json::as_str).unwrap_or_default()
}

/// A list of a JSON object; empty when absent.
pub(crate) fn list<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json.get(key)
        .and_then(Json::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Whether a key of a JSON object is `true`.
pub(crate) fn flag(json: &Json, key: &str) -> bool {
    json.get(key).and_then(Json::as_bool).unwrap_or_default()
}

/// Every connector of the environment, in the order of the catalogue.
pub(crate) async fn list_all(desk: &Desk) -> Result<Vec<Connector>, Trouble> {
    let request = ListProvidersRequest {
        page_size: 1_000,
        filter: Some(Filter {
            provider_type: ProviderType::All.into(),
        }),
        ..Default::default()
    };
    let found = desk
        .rpc
        .providers()
        .list_providers(request)
        .await?
        .into_inner()
        .providers;
    let mut connectors: Vec<Connector> = found.into_iter().map(Connector::new).collect();
    // The workspace's own first: they are few, and made to be used.
    connectors.sort_by(|a, b| {
        let key = |c: &Connector| {
            (
                !c.provider.is_custom,
                c.provider.display_name.to_lowercase(),
            )
        };
        key(a).cmp(&key(b))
    });
    Ok(connectors)
}

/// What connectors are called, by their identifiers.
pub(crate) struct Names(HashMap<String, String>);

impl Names {
    /// Of every connector of the environment. Lists that show connectors beside other things are
    /// for members who may not see the catalogue too: they get identifiers.
    pub(crate) async fn load(desk: &Desk) -> Self {
        let known = list_all(desk).await.unwrap_or_default();
        Self(
            known
                .into_iter()
                .map(|connector| {
                    let provider = connector.provider;
                    (provider.identifier, provider.display_name)
                })
                .collect(),
        )
    }

    /// The name of a connector. A number at the end of an identifier only makes it unique.
    pub(crate) fn of<'a>(&'a self, identifier: &'a str) -> &'a str {
        match self.0.get(identifier) {
            Some(name) => name,
            None => identifier
                .split_once(':')
                .map_or(identifier, |(word, _)| word),
        }
    }
}

/// One connector by its identifier.
pub(crate) async fn find(desk: &Desk, identifier: &str) -> Result<Connector, Trouble> {
    let request = ListProvidersRequest {
        identifier: identifier.to_owned(),
        page_size: 1,
        filter: Some(Filter {
            provider_type: ProviderType::All.into(),
        }),
        ..Default::default()
    };
    let found = desk
        .rpc
        .providers()
        .list_providers(request)
        .await?
        .into_inner()
        .providers;
    let exact = found
        .into_iter()
        .find(|provider| provider.identifier == identifier);
    exact
        .map(Connector::new)
        .ok_or(Trouble::Failure(Failure::Missing))
}
