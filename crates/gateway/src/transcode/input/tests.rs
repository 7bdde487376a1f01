use super::*;
use keystead_proto::POOL;
use serde_json::json;

fn read(name: &str, json: &Json) -> Result<DynamicMessage, Misfit> {
    let descriptor = POOL.get_message_by_name(name).unwrap();
    message(&descriptor, json, Place::Root)
}

fn round_trip(name: &str, json: &Json) -> Json {
    super::super::output::to_json(&read(name, json).unwrap()).unwrap()
}

fn problem(name: &str, json: &Json) -> String {
    let misfit = read(name, json).unwrap_err();
    format!("{}: {}", misfit.field, misfit.problem)
}

const ORGANIZATION: &str = "scalekit.v1.organizations.Organization";
const CREATE: &str = "scalekit.v1.organizations.CreateOrganizationRequest";

#[test]
fn snake_and_camel_case_give_the_same() {
    let snake = read(
        ORGANIZATION,
        &json!({"display_name": "Acme", "external_id": "x"}),
    )
    .unwrap();
    let camel = read(
        ORGANIZATION,
        &json!({"displayName": "Acme", "externalId": "x"}),
    )
    .unwrap();
    assert_eq!(snake, camel);
    assert_eq!(
        problem(
            ORGANIZATION,
            &json!({"display_name": "a", "displayName": "b"})
        ),
        "display_name: is given twice, in snake case and in camel case"
    );
}

#[test]
fn unknown_keys_and_null_are_ignored() {
    let plain = read(ORGANIZATION, &json!({"display_name": "Acme"})).unwrap();
    let noisy = read(
        ORGANIZATION,
        &json!({"display_name": "Acme", "nonsense": {"a": 1}, "slug": null}),
    )
    .unwrap();
    assert_eq!(plain, noisy);
}

#[test]
fn enums_by_name_and_by_number() {
    let by = |value: Json| {
        round_trip(ORGANIZATION, &json!({"region_code": value}))["region_code"].clone()
    };
    assert_eq!(by(json!("US")), "US");
    let number = POOL
        .get_enum_by_name("scalekit.v1.commons.RegionCode")
        .unwrap()
        .get_value_by_name("US")
        .unwrap();
    assert_eq!(by(json!(number.number())), "US");
    assert_eq!(by(json!(number.number().to_string())), "US");
    assert_eq!(
        problem(ORGANIZATION, &json!({"region_code": "MARS"})),
        "region_code: must be a value of RegionCode"
    );
}

#[test]
fn times_are_rfc_3339() {
    let at =
        |text: &str| round_trip(ORGANIZATION, &json!({"create_time": text}))["create_time"].clone();
    assert_eq!(at("2026-01-31T09:30:00Z"), "2026-01-31T09:30:00Z");
    assert_eq!(
        at("2026-01-31T10:30:00.250+01:00"),
        "2026-01-31T09:30:00.250Z"
    );
    for bad in [json!("yesterday"), json!(5), json!("2026-13-01T00:00:00Z")] {
        assert!(
            problem(ORGANIZATION, &json!({ "create_time": bad }))
                .starts_with("create_time: must be a time")
        );
    }
}

#[test]
fn wrong_types_name_the_nested_field() {
    assert_eq!(
        problem(CREATE, &json!({"organization": {"display_name": 5}})),
        "organization.display_name: must be a string"
    );
    assert_eq!(
        problem(CREATE, &json!({"organization": {"metadata": {"plan": 1}}})),
        "organization.metadata[plan]: must be a string"
    );
    assert_eq!(
        problem(CREATE, &json!({"organization": []})),
        "organization: must be an object"
    );
    assert_eq!(problem(CREATE, &json!("text")), ": must be an object");
}

#[test]
fn two_fields_of_a_oneof_are_refused() {
    assert_eq!(
        problem(
            "scalekit.v1.organizations.UpdateOrganizationRequest",
            &json!({"id": "org_1", "external_id": "x"})
        ),
        "external_id: cannot be given together with id"
    );
}

#[test]
fn field_masks_in_both_spellings() {
    let mask = |text: &str| {
        round_trip(
            "scalekit.v1.organizations.UpdateOrganizationRequest",
            &json!({"update_mask": text}),
        )["update_mask"]
            .clone()
    };
    assert_eq!(mask("display_name,external_id"), "displayName,externalId");
    assert_eq!(mask("displayName, externalId"), "displayName,externalId");
}

#[test]
fn integers_as_numbers_and_as_text_within_range() {
    let read = |kind: Kind, json: Json| single(&kind, &json, Place::Root).ok();
    assert_eq!(
        read(Kind::Int64, json!("9007199254740993")),
        Some(Value::I64(9_007_199_254_740_993))
    );
    assert_eq!(
        read(Kind::Uint64, json!(u64::MAX)),
        Some(Value::U64(u64::MAX))
    );
    assert_eq!(read(Kind::Int32, json!(1e3)), Some(Value::I32(1_000)));
    for (kind, json) in [
        (Kind::Uint32, json!(-1)),
        (Kind::Int32, json!(3_000_000_000_u64)),
        (Kind::Int32, json!(1.5)),
        (Kind::Int64, json!("1x")),
        (Kind::Int64, json!(true)),
    ] {
        assert_eq!(read(kind, json), None);
    }
}

#[test]
fn bytes_in_both_alphabets() {
    let read = |text: &str| single(&Kind::Bytes, &json!(text), Place::Root).ok();
    let expected = Some(Value::Bytes(vec![0xfb, 0xff, 0xfe].into()));
    assert_eq!(read("+//+"), expected);
    assert_eq!(read("-__-"), expected);
    assert_eq!(read("-w"), Some(Value::Bytes(vec![0xfb].into())));
    assert_eq!(read("-w=="), Some(Value::Bytes(vec![0xfb].into())));
    assert_eq!(read("!"), None);
}

#[test]
fn wrappers_and_free_form_values() {
    let read = |name: &str, json: Json| round_trip(&format!("google.protobuf.{name}"), &json);
    assert_eq!(read("BoolValue", json!(true)), json!(true));
    assert_eq!(read("Int32Value", json!(5)), json!(5));
    assert_eq!(read("StringValue", json!("x")), json!("x"));
    assert_eq!(read("Duration", json!("3.5s")), json!("3.500s"));
    assert_eq!(read("Empty", json!({})), json!({}));
    let free = json!({"b": [1.5, null, {"x": "y"}], "a": true});
    assert_eq!(read("Struct", free.clone()), free);
}
