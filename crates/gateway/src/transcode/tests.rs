//! What requests become, binding by binding.

use super::*;
use crate::contract::Contract;
use keystead_proto::POOL;
use serde_json::json;

/// The request message of `verb path?query` with `body`, as the JSON of its set fields.
fn request(verb: &str, target: &str, body: &str) -> Result<Json, String> {
    let contract = Contract::load().unwrap();
    let router = Router::new(&contract).unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Found::Route(route, values) = router.find(&verb.parse().unwrap(), path) else {
        panic!("{target}")
    };
    let values: Vec<String> = values.into_iter().map(str::to_owned).collect();
    let json = parse(body.as_bytes()).map_err(|failure| failure.message)?;
    let binding = &route.method.bindings[route.binding];
    let input = route.method.descriptor.input();
    let message = fill(&input, binding, &values, query, json.as_ref());
    let message = message.map_err(|misfit| format!("{}: {}", misfit.field, misfit.problem))?;
    // Names of the contract, zero values left out: exactly what was set.
    let options = prost_reflect::SerializeOptions::new().use_proto_field_name(true);
    Ok(message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .unwrap())
}

fn get(target: &str) -> Result<Json, String> {
    request("GET", target, "")
}

#[test]
fn nested_parameters_in_either_spelling() {
    let expected = json!({"filter": {"provider_type": "CUSTOM"}, "page_size": 1000});
    assert_eq!(
        get("/api/v1/providers?filter.provider_type=CUSTOM&page_size=1000").unwrap(),
        expected
    );
    assert_eq!(
        get("/api/v1/providers?filter.providerType=CUSTOM&pageSize=1000").unwrap(),
        expected
    );
}

#[test]
fn enums_by_name_and_number() {
    let custom = POOL.get_message_by_name("scalekit.v1.providers.ListProvidersRequest.Filter");
    let filter = custom
        .unwrap()
        .get_field_by_name("provider_type")
        .unwrap()
        .kind();
    let number = filter
        .as_enum()
        .unwrap()
        .get_value_by_name("CUSTOM")
        .unwrap()
        .number();
    let by_number = get(&format!("/api/v1/providers?filter.provider_type={number}")).unwrap();
    assert_eq!(by_number, json!({"filter": {"provider_type": "CUSTOM"}}));
    assert_eq!(
        get("/api/v1/providers?filter.provider_type=NOPE").unwrap_err(),
        "filter.provider_type: must be a value of ProviderType"
    );
}

/// Part of DR-014: `?features=sso&features=dir_sync`
#[test]
fn repeated_parameters_fill_a_list() {
    let link = request(
        "PUT",
        "/api/v1/organizations/org_1/portal_links?features=sso&features=dir_sync",
        "",
    )
    .unwrap();
    assert_eq!(
        link,
        json!({"id": "org_1", "features": ["sso", "dir_sync"]})
    );
}

#[test]
fn times_and_wrappers_are_plain_text_in_a_query() {
    let stats = get("/api/v1/agentkit/analytics/overview?start_time=2026-01-31T09:30:00Z").unwrap();
    assert_eq!(stats["start_time"], "2026-01-31T09:30:00Z");
    let bad = get("/api/v1/agentkit/analytics/overview?start_time=now").unwrap_err();
    assert!(bad.starts_with("start_time: must be a time"), "{bad}");

    let domains = get("/api/v1/organizations/org_1/domains?page_size=5").unwrap();
    assert_eq!(domains, json!({"organization_id": "org_1", "page_size": 5}));
    assert_eq!(
        get("/api/v1/tools?filter.summary=true").unwrap(),
        json!({"filter": {"summary": true}})
    );
    assert_eq!(
        get("/api/v1/tools?filter.summary=maybe").unwrap_err(),
        "filter.summary: must be true or false"
    );
}

#[test]
fn unknown_parameters_and_messages_as_text_do_not_break_a_call() {
    assert_eq!(
        get("/api/v1/providers?utm_source=x&filter.nope=1&a.b.c=2").unwrap(),
        json!({})
    );
    assert_eq!(
        get("/api/v1/providers?filter=x").unwrap_err(),
        "filter: must be an object"
    );
}

#[test]
fn a_whole_body_reads_no_query() {
    let body = r#"{"connector":"GMAIL","identifier":"ada"}"#;
    let link = request(
        "POST",
        "/api/v1/connected_accounts/magic_link?identifier=eve",
        body,
    )
    .unwrap();
    assert_eq!(link, json!({"connector": "GMAIL", "identifier": "ada"}));
}

#[test]
fn a_path_variable_wins_over_the_body_and_the_query() {
    let body = r#"{"id":"ca_2"}"#;
    let out = request("POST", "/api/v1/connected_accounts/ca_1:disconnect", body).unwrap();
    assert_eq!(out["id"], "ca_1");
}

/// DR-007: an id beside the external id of the path.
#[test]
fn two_identities_are_refused() {
    assert_eq!(
        get("/api/v1/organizations:external/x?id=org_1").unwrap_err(),
        "id: cannot be given together with external_id"
    );
}

#[test]
fn nested_path_variables_are_set() {
    let descriptor = POOL
        .get_message_by_name("scalekit.v1.organizations.CreateOrganizationRequest")
        .unwrap();
    let template =
        template::Template::parse("/x/{organization.display_name}", &descriptor).unwrap();
    let binding = Binding {
        verb: Verb::GET,
        template,
        body: BodyRule::None,
    };
    let message = fill(
        &descriptor,
        &binding,
        &["a%20b".to_owned()],
        "organization.display_name=c",
        None,
    )
    .unwrap();
    assert_eq!(
        output::to_json(&message).unwrap()["organization"]["display_name"],
        "a b"
    );
}

#[test]
fn map_entries_are_given_by_key() {
    let descriptor = POOL
        .get_message_by_name("scalekit.v1.organizations.CreateOrganizationRequest")
        .unwrap();
    let template = template::Template::parse("/x", &descriptor).unwrap();
    let binding = Binding {
        verb: Verb::GET,
        template,
        body: BodyRule::None,
    };
    let filled = |query| fill(&descriptor, &binding, &[], query, None);
    let message =
        filled("organization.metadata[plan]=gold&organization.metadata%5Bzone%5D=eu").unwrap();
    let metadata = &output::to_json(&message).unwrap()["organization"]["metadata"];
    assert_eq!(*metadata, json!({"plan": "gold", "zone": "eu"}));
    assert_eq!(
        filled("organization.metadata=x").unwrap_err().problem,
        "must be given as name[key]=value"
    );
}

#[test]
fn large_integers_are_text_in_answers() {
    let descriptor = POOL
        .get_message_by_name("google.protobuf.Int64Value")
        .unwrap();
    let mut message = DynamicMessage::new(descriptor);
    message.set_field_by_name("value", Value::I64(9_007_199_254_740_993));
    assert_eq!(
        output::to_json(&message).unwrap(),
        json!("9007199254740993")
    );
}

#[test]
fn an_explicit_mask_is_kept_and_nested_fields_are_named_by_path() {
    let descriptor = POOL
        .get_message_by_name("scalekit.v1.organizations.Organization")
        .unwrap();
    let mut paths = Vec::new();
    let body = json!({"display_name": "x", "metadata": {"a": "b"}, "settings": {"features": []}, "nope": 1});
    collect_paths(&descriptor, &body, "", |_| true, &mut paths);
    assert_eq!(paths, ["display_name", "metadata", "settings.features"]);
}

/// AK-019: a method can tell an explicit empty map from an absent one.
#[test]
fn the_fields_that_a_body_names_are_told_and_null_names_none() {
    let contract = Contract::load().unwrap();
    let method = contract
        .methods()
        .iter()
        .find(|method| method.label() == "ProviderService/UpdateCustomProvider")
        .unwrap();
    let body = json!({"display_name": "x", "metadata": {}, "description": null});
    let names = named(&method.descriptor.input(), &method.bindings[0].body, &body);
    assert_eq!(names, ["provider.display_name", "provider.metadata"]);
}
