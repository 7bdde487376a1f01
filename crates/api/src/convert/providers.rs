use super::structs::{value_from_json, value_to_json};
use keystead_agentkit::{
    Error,
    providers::{CustomProviderInput, CustomProviderPatch, Provider, ProviderFilter},
};
use keystead_proto::{ExplicitFields, v1::providers as pb};
use prost_types::ListValue;
use serde_json::Value as Json;

/// A connector on the wire. It has no id besides its key.
pub(crate) fn provider(provider: &Provider) -> pb::Provider {
    pb::Provider {
        id: provider.identifier.clone(),
        identifier: provider.identifier.clone(),
        display_name: provider.display_name.clone(),
        description: provider.description.clone(),
        categories: provider.categories.clone(),
        auth_patterns: Some(list(provider.auth_patterns_json())),
        icon_src: provider.icon_src.clone(),
        display_priority: provider.display_priority,
        coming_soon: false,
        proxy_url: provider.proxy_url.clone(),
        proxy_enabled: provider.proxy_enabled,
        is_custom: provider.is_custom,
        is_custom_mcp: provider.is_custom_mcp(),
        metadata: provider.metadata.clone().into_iter().collect(),
    }
}

fn list(json: Json) -> ListValue {
    let items = match json {
        Json::Array(items) => items,
        _ => Vec::new(),
    };
    ListValue {
        values: items.into_iter().map(value_from_json).collect(),
    }
}

fn patterns(list: ListValue) -> Json {
    list.values.into_iter().map(value_to_json).collect()
}

/// What a create request asks for. Calls through the proxy are on unless the caller says otherwise,
/// which only JSON can.
pub(crate) fn create(
    message: pb::CreateCustomProvider,
    explicit: Option<&ExplicitFields>,
) -> CustomProviderInput {
    let left_open = explicit.is_some_and(|fields| !fields.names("provider.proxy_enabled"));
    CustomProviderInput {
        display_name: message.display_name,
        description: message.description,
        auth_patterns: patterns(message.auth_patterns.unwrap_or_default()),
        proxy_url: message.proxy_url,
        proxy_enabled: message.proxy_enabled || left_open,
        icon_src: message.icon_src,
        metadata: message.metadata.into_iter().collect(),
    }
}

/// What an update request asks for. An empty value changes something only when it was written down
/// (AK-019).
pub(crate) fn update(
    message: pb::UpdateCustomProvider,
    explicit: Option<&ExplicitFields>,
) -> CustomProviderPatch {
    let written =
        |name: &str| explicit.is_some_and(|fields| fields.names(&format!("provider.{name}")));
    let text = |value: String, name: &str| (!value.is_empty() || written(name)).then_some(value);
    let metadata = (!message.metadata.is_empty() || written("metadata"))
        .then(|| message.metadata.into_iter().collect());
    CustomProviderPatch {
        display_name: message.display_name,
        description: text(message.description, "description"),
        auth_patterns: message.auth_patterns.map(patterns),
        proxy_url: message.proxy_url,
        proxy_enabled: (message.proxy_enabled || written("proxy_enabled"))
            .then_some(message.proxy_enabled),
        icon_src: text(message.icon_src, "icon_src"),
        metadata,
    }
}

/// Which connectors a list shows; built-in ones when nothing is asked for (AK-015).
pub(crate) fn filter(
    filter: Option<pb::list_providers_request::Filter>,
) -> Result<ProviderFilter, Error> {
    let asked = filter.map_or(pb::ProviderType::Default as i32, |filter| {
        filter.provider_type
    });
    match pb::ProviderType::try_from(asked) {
        Ok(pb::ProviderType::Default) => Ok(ProviderFilter::BuiltIn),
        Ok(pb::ProviderType::Custom) => Ok(ProviderFilter::Custom),
        Ok(pb::ProviderType::All) => Ok(ProviderFilter::All),
        Err(_) => Err(Error::field(
            "filter.provider_type",
            "must be DEFAULT, CUSTOM or ALL",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sent(proxy_enabled: bool) -> pb::UpdateCustomProvider {
        pb::UpdateCustomProvider {
            display_name: "Acme".to_owned(),
            proxy_url: "https://api.acme.test".to_owned(),
            proxy_enabled,
            ..pb::UpdateCustomProvider::default()
        }
    }

    /// AK-019: empty values over gRPC leave everything as it is.
    #[test]
    fn an_update_over_grpc_keeps_what_is_empty() {
        let patch = update(sent(false), None);
        assert_eq!(
            (
                patch.description,
                patch.auth_patterns,
                patch.proxy_enabled,
                patch.icon_src,
                patch.metadata
            ),
            (None, None, None, None, None)
        );
        assert_eq!(update(sent(true), None).proxy_enabled, Some(true));
    }

    /// AK-019: what JSON writes down counts, even when it is empty.
    #[test]
    fn an_update_in_json_clears_what_it_names() {
        let explicit = ExplicitFields::new([
            "provider.proxy_enabled",
            "provider.metadata",
            "provider.icon_src",
        ]);
        let patch = update(sent(false), Some(&explicit));
        assert_eq!(patch.proxy_enabled, Some(false));
        assert_eq!(patch.metadata.map(|pairs| pairs.len()), Some(0));
        assert_eq!(patch.icon_src.as_deref(), Some(""));
        assert_eq!(patch.description, None, "it was not named");
    }

    /// Section 8, item 9: the proxy is on by default.
    #[test]
    fn the_proxy_is_on_unless_json_says_otherwise() {
        let new = pb::CreateCustomProvider::default;
        assert!(create(new(), Some(&ExplicitFields::default())).proxy_enabled);
        let named = ExplicitFields::new(["provider.proxy_enabled"]);
        assert!(!create(new(), Some(&named)).proxy_enabled);
        assert!(!create(new(), None).proxy_enabled, "gRPC always says it");
    }

    /// AK-007: auth patterns come back as they were sent, unknown keys included.
    #[test]
    fn auth_patterns_round_trip() {
        let json = json!([{ "type": "BEARER", "new": [1, null, { "deep": true }] }]);
        assert_eq!(patterns(list(json.clone())), json);
    }

    /// AK-015
    #[test]
    fn unknown_provider_types_are_refused() {
        let asked = |provider_type| Some(pb::list_providers_request::Filter { provider_type });
        assert_eq!(filter(None).unwrap(), ProviderFilter::BuiltIn);
        assert_eq!(filter(asked(1)).unwrap(), ProviderFilter::Custom);
        assert_eq!(filter(asked(2)).unwrap(), ProviderFilter::All);
        assert!(filter(asked(3)).is_err());
    }
}
