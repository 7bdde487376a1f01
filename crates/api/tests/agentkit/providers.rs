use crate::fixture::{World, list, refused};
use keystead_proto::v1::providers::{
    CreateCustomProvider, CreateCustomProviderRequest, CreateProvider, CreateProviderRequest,
    DeleteProviderRequest, ListProvidersRequest, Provider, UpdateCustomProvider,
    UpdateCustomProviderRequest, list_providers_request::Filter,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::{Value as Json, json};

pub(crate) fn acme(patterns: Json) -> CreateCustomProviderRequest {
    CreateCustomProviderRequest {
        provider: Some(CreateCustomProvider {
            display_name: "Acme Tasks".to_owned(),
            description: "Tasks".to_owned(),
            auth_patterns: Some(list(patterns)),
            proxy_url: "https://api.acme.test".to_owned(),
            proxy_enabled: true,
            icon_src: "https://acme.test/icon.svg".to_owned(),
            metadata: [("team".to_owned(), "core".to_owned())].into(),
        }),
    }
}

fn change(identifier: &str) -> UpdateCustomProviderRequest {
    UpdateCustomProviderRequest {
        identifier: identifier.to_owned(),
        provider: Some(UpdateCustomProvider {
            display_name: "Acme Tasks".to_owned(),
            auth_patterns: Some(list(json!([{ "type": "BEARER" }]))),
            proxy_url: "https://api.acme.test".to_owned(),
            ..UpdateCustomProvider::default()
        }),
    }
}

fn custom() -> ListProvidersRequest {
    ListProvidersRequest {
        filter: Some(Filter { provider_type: 1 }),
        ..ListProvidersRequest::default()
    }
}

async fn made(world: &World) -> Provider {
    let request = acme(json!([{ "type": "BEARER", "kept": { "as": "sent" } }]));
    let made = world
        .client(&world.home)
        .providers()
        .create_custom_provider(request)
        .await;
    made.unwrap().into_inner().provider.unwrap()
}

on_both_engines! {
    /// AK-007, AK-014, AK-017
    async fn a_connector_comes_back_as_it_was_sent(test: TestDb) {
        let world = World::started(&test).await;
        let provider = made(&world).await;
        assert!(provider.identifier.starts_with("ACMETASKS:"), "{}", provider.identifier);
        assert!(provider.is_custom && provider.proxy_enabled);
        let listed = world.client(&world.home).providers().list_providers(custom()).await.unwrap().into_inner();
        assert_eq!(listed.providers, std::slice::from_ref(&provider));
        let pattern = format!("{:?}", provider.auth_patterns);
        assert!(pattern.contains("kept"), "{pattern}");
        let again = acme(json!([{ "type": "BEARER" }]));
        let again = world.client(&world.home).providers().create_custom_provider(again).await;
        assert_eq!(refused(again), "ALREADY_EXISTS");
    }

    /// AK-015
    async fn built_in_connectors_are_what_a_list_shows_by_default(test: TestDb) {
        let world = World::started(&test).await;
        made(&world).await;
        let mut providers = world.client(&world.home).providers();
        let listed = providers.list_providers(ListProvidersRequest::default()).await.unwrap().into_inner();
        assert!(listed.providers.iter().all(|provider| !provider.is_custom));
        assert!(listed.total_size >= 84, "{}", listed.total_size);
        let all = ListProvidersRequest { filter: Some(Filter { provider_type: 2 }), page_size: 1000, ..custom() };
        let all = providers.list_providers(all).await.unwrap().into_inner();
        assert_eq!(all.total_size, listed.total_size + 1);
        let wrong = ListProvidersRequest { filter: Some(Filter { provider_type: 7 }), ..custom() };
        assert_eq!(refused(providers.list_providers(wrong).await), "INVALID_ARGUMENT");
    }

    /// AK-019: over gRPC what is empty is kept; in JSON what is named counts.
    async fn an_explicit_false_switches_the_proxy_off(test: TestDb) {
        let world = World::started(&test).await;
        let id = made(&world).await.identifier;
        let kept = world.client(&world.home).providers().update_custom_provider(change(&id)).await;
        let kept = kept.unwrap().into_inner().provider.unwrap();
        assert!(kept.proxy_enabled);
        assert_eq!((kept.description.as_str(), kept.metadata.len()), ("Tasks", 1));

        let path = format!("/api/v1/custom-providers/{id}");
        let mut body = json!({ "display_name": "Acme Tasks", "proxy_url": "https://api.acme.test",
            "auth_patterns": [{ "type": "BEARER" }], "metadata": null });
        let (status, json) = world.rest("PUT", &path, &body).await;
        assert_eq!((status.as_u16(), &json["provider"]["proxy_enabled"]), (200, &json!(true)), "{json}");
        assert_eq!(json["provider"]["metadata"], json!({ "team": "core" }));
        body["proxy_enabled"] = json!(false);
        body["metadata"] = json!({});
        let (status, _) = world.rest("PUT", &path, &body).await;
        assert_eq!(status.as_u16(), 200);
        let listed = world.client(&world.home).providers().list_providers(custom()).await.unwrap().into_inner();
        assert!(!listed.providers[0].proxy_enabled);
        assert!(listed.providers[0].metadata.is_empty());
        assert_eq!(listed.providers[0].description, "Tasks", "it was not named");
    }

    /// AK-020, and ids of another environment name nothing.
    async fn connectors_belong_to_their_environment(test: TestDb) {
        let world = World::started(&test).await;
        let id = made(&world).await.identifier;
        let mut stranger = world.client(&world.other).providers();
        assert!(stranger.list_providers(custom()).await.unwrap().into_inner().providers.is_empty());
        assert_eq!(refused(stranger.update_custom_provider(change(&id)).await), "PROVIDER_NOT_FOUND");
        let delete = || DeleteProviderRequest { identifier: id.clone() };
        assert_eq!(refused(stranger.delete_custom_provider(delete()).await), "PROVIDER_NOT_FOUND");
        let mut own = world.client(&world.home).providers();
        own.delete_custom_provider(delete()).await.unwrap();
        assert_eq!(refused(own.delete_custom_provider(delete()).await), "PROVIDER_NOT_FOUND");
    }

    /// Part of AK-021
    async fn built_in_connectors_are_the_operators(test: TestDb) {
        let world = World::started(&test).await;
        let new = CreateProviderRequest {
            provider: Some(CreateProvider {
                identifier: "MINE".to_owned(),
                display_name: "Mine".to_owned(),
                auth_patterns: Some(list(json!([]))),
                ..CreateProvider::default()
            }),
        };
        let mut providers = world.client(&world.home).providers();
        assert_eq!(refused(providers.create_provider(new).await), "PERMISSION_DENIED");
        let delete = DeleteProviderRequest { identifier: "GMAIL".to_owned() };
        assert_eq!(refused(providers.delete_provider(delete).await), "PERMISSION_DENIED");
    }
}
