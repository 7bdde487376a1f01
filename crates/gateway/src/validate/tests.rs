use super::*;
use keystead_proto::v1::{connected_accounts, connections, organizations, tools};
use prost::Message;

fn broken<M: Message>(name: &str, message: &M) -> Vec<String> {
    let descriptor = POOL
        .get_message_by_name(&format!("scalekit.v1.{name}"))
        .unwrap();
    let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).unwrap();
    let rules = ContractRules::load().unwrap();
    let mut broken: Vec<String> = rules
        .violations(&message)
        .into_iter()
        .map(|violation| format!("{} {}", violation.field, violation.constraint))
        .collect();
    broken.sort();
    broken
}

fn create(display_name: &str) -> organizations::CreateOrganization {
    organizations::CreateOrganization {
        display_name: display_name.to_owned(),
        ..Default::default()
    }
}

fn create_request(organization: Option<organizations::CreateOrganization>) -> Vec<String> {
    broken(
        "organizations.CreateOrganizationRequest",
        &organizations::CreateOrganizationRequest { organization },
    )
}

#[test]
fn every_rule_of_the_contract_is_known() {
    let rules = ContractRules::load().unwrap();
    let count: usize = rules.fields.values().map(Vec::len).sum();
    assert!(count > 800, "{count}");
}

#[test]
fn required_and_lengths() {
    assert_eq!(create_request(None), ["organization required"]);
    assert_eq!(
        create_request(Some(create(""))),
        ["organization.display_name string.min_len"]
    );
    assert_eq!(
        create_request(Some(create(&"ü".repeat(200)))),
        [""; 0],
        "lengths count characters"
    );
    assert_eq!(
        create_request(Some(create(&"x".repeat(201)))),
        ["organization.display_name string.max_len"]
    );
}

#[test]
fn unset_optional_fields_are_not_checked_but_empty_ones_are() {
    assert_eq!(create_request(Some(create("Acme"))), [""; 0]);
    let with_slug = |slug: &str| organizations::CreateOrganization {
        slug: Some(slug.to_owned()),
        ..create("Acme")
    };
    assert_eq!(
        create_request(Some(with_slug(""))),
        [
            "organization.slug string.min_len",
            "organization.slug string.pattern"
        ]
    );
    assert_eq!(
        create_request(Some(with_slug("UPPER"))),
        ["organization.slug string.pattern"]
    );
    assert_eq!(create_request(Some(with_slug("acme.eu"))), [""; 0]);
}

#[test]
fn maps_keys_and_values() {
    let with = |pairs: &[(&str, &str)]| organizations::CreateOrganization {
        metadata: pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..create("Acme")
    };
    assert_eq!(create_request(Some(with(&[("plan", "gold")]))), [""; 0]);
    assert_eq!(
        create_request(Some(with(&[("p", "gold")]))),
        ["organization.metadata[p] string.min_len"]
    );
    assert_eq!(
        create_request(Some(with(&[("plan", "")]))),
        ["organization.metadata[plan] string.min_len"]
    );
    let keys: Vec<String> = (0..11).map(|at| format!("key{at}")).collect();
    let many: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "x")).collect();
    assert_eq!(
        create_request(Some(with(&many))),
        ["organization.metadata map.max_pairs"]
    );
}

/// AK-209: the rule says "below 100", the product accepts 100.
#[test]
fn account_lists_accept_a_page_of_100() {
    let with = |page_size| {
        broken(
            "connected_accounts.ListConnectedAccountsRequest",
            &connected_accounts::ListConnectedAccountsRequest {
                page_size,
                ..Default::default()
            },
        )
    };
    assert_eq!(with(100), [""; 0]);
    assert_eq!(with(101), ["page_size number.lte"]);
}

#[test]
fn scoped_tools_may_be_listed_without_a_filter() {
    let request = tools::ListScopedToolsRequest {
        identifier: "ada".to_owned(),
        ..Default::default()
    };
    assert_eq!(broken("tools.ListScopedToolsRequest", &request), [""; 0]);
    let nobody = tools::ListScopedToolsRequest::default();
    assert_eq!(
        broken("tools.ListScopedToolsRequest", &nobody),
        ["identifier required"]
    );
}

/// AK-104: OAuth connections are made for the environment; the organization's form forbids them.
#[test]
fn oauth_connections_are_refused_for_an_organization_only() {
    let connection = connections::CreateConnection {
        r#type: connections::ConnectionType::Oauth.into(),
        provider_key: "GMAIL".to_owned(),
        ..Default::default()
    };
    let for_organization = connections::CreateConnectionRequest {
        organization_id: "org_1".to_owned(),
        connection: Some(connection.clone()),
    };
    assert_eq!(
        broken("connections.CreateConnectionRequest", &for_organization),
        ["connection cel"]
    );
    let for_environment = connections::CreateEnvironmentConnectionRequest {
        connection: Some(connection),
        ..Default::default()
    };
    assert_eq!(
        broken(
            "connections.CreateEnvironmentConnectionRequest",
            &for_environment
        ),
        [""; 0]
    );
}

#[test]
fn enums_outside_the_contract_are_refused() {
    let request = connections::CreateEnvironmentConnectionRequest {
        connection: Some(connections::CreateConnection {
            r#type: 99,
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(
        broken("connections.CreateEnvironmentConnectionRequest", &request),
        ["connection.type enum.defined_only"]
    );
}

/// No engine gets a text that the other could not store, wherever in a message it is.
#[test]
fn nul_is_refused_in_every_text() {
    let with = |organization| create_request(Some(organization));
    assert_eq!(
        with(create("a\0b")),
        ["organization.display_name string.not_contains"]
    );
    let metadata = |key: &str, value: &str| organizations::CreateOrganization {
        metadata: [(key.to_owned(), value.to_owned())].into(),
        ..create("Acme")
    };
    assert_eq!(
        with(metadata("plan", "go\0ld")),
        ["organization.metadata[plan] string.not_contains"]
    );
    assert_eq!(
        with(metadata("pl\0an", "gold")),
        ["organization.metadata[pl\u{fffd}an] string.not_contains"]
    );
}

/// In messages without a rule of the contract, in lists and in free JSON; bytes are no text.
#[test]
fn nul_is_refused_below_messages_without_rules() {
    use prost_types::{ListValue, Struct, Value as Json, value::Kind};
    let found = |name: &str, bytes: &[u8]| -> Vec<String> {
        let descriptor = POOL.get_message_by_name(name).unwrap();
        let message = DynamicMessage::decode(descriptor, bytes).unwrap();
        let found = ContractRules::load().unwrap().violations(&message);
        found.into_iter().map(|violation| violation.field).collect()
    };
    let text = Json {
        kind: Some(Kind::StringValue("\0".to_owned())),
    };
    let list = Json {
        kind: Some(Kind::ListValue(ListValue { values: vec![text] })),
    };
    let free = Struct {
        fields: [("a".to_owned(), list)].into(),
    };
    assert_eq!(
        found("google.protobuf.Struct", &free.encode_to_vec()),
        ["fields[a].list_value.values[0].string_value"]
    );
    let mask = prost_types::FieldMask {
        paths: vec!["fine".to_owned(), "\0".to_owned()],
    };
    assert_eq!(
        found("google.protobuf.FieldMask", &mask.encode_to_vec()),
        ["paths[1]"]
    );
    let bytes = vec![0_u8; 3];
    assert_eq!(
        found("google.protobuf.BytesValue", &bytes.encode_to_vec()),
        [""; 0]
    );
}
