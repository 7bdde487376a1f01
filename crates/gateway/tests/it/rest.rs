use crate::app::{ALL, HOST, Hold, answer, gateway, pipeline, send, wiring, wiring_with};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use keystead_gateway::{Limits, Pipeline};
use serde_json::json;
use std::{num::NonZeroU32, sync::Arc, time::Duration};

#[tokio::test]
async fn creating_answers_201_with_snake_case_json() {
    let gateway = gateway(pipeline());
    let body = r#"{"displayName":"Acme","metadata":{"zone":"b","alpha":"a"},"unknown":1}"#;
    let created = send(&gateway, "POST", "/api/v1/organizations", ALL, body).await;
    assert_eq!(created.status, 201);
    assert_eq!(
        created.json,
        json!({"organization": {
            "id": "org_1", "create_time": "2026-09-21T14:13:20.250Z", "display_name": "Acme",
            "region_code": "REGION_CODE_UNSPECIFIED", "metadata": {"alpha": "a", "zone": "b"},
        }})
    );
    assert!(
        created
            .json
            .to_string()
            .contains(r#"{"alpha":"a","zone":"b"}"#),
        "maps are sorted"
    );
    assert_eq!(created.headers["content-type"], "application/json");
    assert_eq!(created.headers["grpc-metadata-x-caller"], "CLIENT");
    assert_eq!(created.headers["x-content-type-options"], "nosniff");
    assert!(
        created.headers["x-request-id"]
            .to_str()
            .unwrap()
            .starts_with("req_")
    );
}

#[tokio::test]
async fn path_variables_are_decoded_and_a_patch_gets_its_mask_from_the_body() {
    let gateway = gateway(pipeline());
    let body = r#"{"display_name":"x","metadata":{},"nonsense":1}"#;
    let updated = send(
        &gateway,
        "PATCH",
        "/api/v1/organizations/org%5F9%3A",
        ALL,
        body,
    )
    .await;
    assert_eq!(updated.status, 200);
    assert_eq!(updated.json["organization"]["id"], "org_9:");
    assert_eq!(
        updated.json["organization"]["display_name"],
        "display_name,metadata"
    );

    let path = "/api/v1/organizations/org_9?update_mask=displayName,external_id&id=other";
    let masked = send(&gateway, "PATCH", path, ALL, body).await;
    assert_eq!(
        masked.json["organization"]["id"], "org_9",
        "the path wins over the query"
    );
    assert_eq!(
        masked.json["organization"]["display_name"],
        "display_name,external_id"
    );
}

#[tokio::test]
async fn query_parameters_fill_fields_and_unknown_ones_are_ignored() {
    let gateway = gateway(pipeline());
    let list = async |query: &str| {
        send(
            &gateway,
            "GET",
            &format!("/api/v1/organizations?{query}"),
            ALL,
            "",
        )
        .await
    };
    let page = list("page_size=25&pageToken=a%2Bb+c&nothing=1&page_size.x=3").await;
    assert_eq!(
        page.json,
        json!({"next_page_token": "a+b c", "total_size": 25, "organizations": [], "prev_page_token": ""})
    );
    assert_eq!(
        list("page_size=ten").await.problem(),
        "400 page_size: must be an integer"
    );
    assert_eq!(
        list("page_size=-1").await.problem(),
        "400 page_size: is out of range"
    );
    assert_eq!(
        list("page_size=1&page_size=2").await.problem(),
        "400 page_size: is given twice"
    );
    assert_eq!(
        list("page_token=%ff").await.problem(),
        "400 the query string is not valid UTF-8"
    );
}

/// In bodies, queries and paths alike; the database is not asked.
#[tokio::test]
async fn nul_in_a_text_is_refused_wherever_it_stands() {
    let gateway = gateway(pipeline());
    for (verb, path, body, field) in [
        (
            "POST",
            "/api/v1/organizations",
            r#"{"display_name":"a\u0000b"}"#,
            "organization.display_name",
        ),
        (
            "GET",
            "/api/v1/organizations?page_token=a%00b",
            "",
            "page_token",
        ),
        (
            "PATCH",
            "/api/v1/organizations/org%00",
            r#"{"display_name":"b"}"#,
            "id",
        ),
    ] {
        let refused = send(&gateway, verb, path, ALL, body).await;
        let problem = refused.problem();
        let told = format!("400 {field}: must not contain the character U+0000");
        assert_eq!(problem, told, "{verb} {path}");
    }
}

#[tokio::test]
async fn an_empty_response_is_an_empty_object() {
    let gateway = gateway(pipeline());
    let deleted = send(&gateway, "DELETE", "/api/v1/organizations/org_1", ALL, "").await;
    assert_eq!(deleted.line(), "200 {}");
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_400_and_say_where() {
    let gateway = gateway(pipeline());
    let post = async |body: &[u8]| {
        send(
            &gateway,
            "POST",
            "/api/v1/organizations",
            ALL,
            body.to_vec(),
        )
        .await
    };
    for (body, expected) in [
        (
            &b"{"[..],
            "400 the body is not valid JSON: EOF while parsing an object at line 1 column 1",
        ),
        (b"\"x\"", "400 organization: must be an object"),
        (
            br#"{"display_name":1}"#,
            "400 organization.display_name: must be a string",
        ),
        (b"", "400 organization: is required"),
        (b"null", "400 organization: is required"),
        (b"{}", "400 organization.display_name: must not be empty"),
    ] {
        assert_eq!(post(body).await.problem(), expected);
    }
    let twice = post(br#"{"display_name":"a","display_name":"b"}"#).await;
    assert!(
        twice
            .problem()
            .starts_with("400 the body is not valid JSON: the key \"display_name\" stands twice")
    );
    let utf8 = post(b"{\"display_name\":\"\xff\"}").await;
    assert!(utf8.problem().starts_with("400 the body is not valid JSON"));
    let broken = post(b"{}").await;
    let detail = &broken.json["details"][0];
    assert_eq!(
        detail["@type"],
        "type.googleapis.com/scalekit.v1.errdetails.ErrorInfo"
    );
    assert_eq!(detail["error_code"], "INVALID_ARGUMENT");
    assert_eq!(
        detail["validation_error_info"]["field_violations"],
        json!([{"field": "organization.display_name", "description": "must not be empty", "constraint": "string.min_len"}])
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let mut wiring = wiring();
    wiring.max_message_bytes = 64;
    let gateway = gateway(Pipeline::new(wiring).unwrap());
    let body = json!({"display_name": "x".repeat(100)}).to_string();
    let answer = send(&gateway, "POST", "/api/v1/organizations", ALL, body).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json["details"][0]["error_code"], "REQUEST_TOO_LARGE");
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_verbs_405() {
    let gateway = gateway(pipeline());
    let nothing = send(&gateway, "GET", "/api/v1/nothing", "", "").await;
    assert_eq!(
        (nothing.status.as_u16(), &nothing.json["code"]),
        (404, &json!(5))
    );
    let verb = send(&gateway, "PUT", "/api/v1/organizations", "", "").await;
    assert_eq!(verb.status, 405);
    assert_eq!(verb.headers["allow"], "POST, GET");
    let page = send(&gateway, "GET", "/proxy/x", "", "").await;
    assert_eq!(
        page.json, "page /proxy/x",
        "everything else goes to the pages"
    );
}

#[tokio::test]
async fn credentials_and_permissions_are_checked_before_the_body_is_read() {
    let gateway = gateway(pipeline());
    let post = async |token: &str| {
        send(
            &gateway,
            "POST",
            "/api/v1/organizations",
            token,
            "{not json",
        )
        .await
    };
    let missing = post("").await;
    assert_eq!(missing.status, 401);
    assert_eq!(missing.headers["www-authenticate"], "Bearer");
    assert_eq!(post("garbage").await.status, 401);
    assert_eq!(post("SESSION|organizations:write").await.status, 403);
    let lacking = post("CLIENT|organizations:read").await;
    assert_eq!(lacking.status, 403);
    assert_eq!(
        lacking.json["details"][0]["resource_info"]["required_permissions"],
        json!(["organizations:write"])
    );
    assert_eq!(post(ALL).await.status, 400);
}

#[tokio::test]
async fn an_unknown_host_is_not_served() {
    let gateway = gateway(pipeline());
    let request = Request::builder()
        .uri("/api/v1/organizations")
        .header("host", "other.test");
    let request = request
        .header("authorization", format!("Bearer {ALL}"))
        .body(Full::new(Bytes::new()))
        .unwrap();
    assert_eq!(
        answer(&gateway, request).await.problem(),
        "404 no environment is served at this host"
    );
}

#[tokio::test]
async fn internal_errors_show_nothing_and_quote_the_request_id() {
    let gateway = gateway(pipeline());
    let request = Request::builder()
        .uri("/api/v1/organizations/org_1")
        .header("host", HOST);
    let request = request
        .header("x-request-id", "mine-1")
        .header("authorization", format!("Bearer {ALL}"));
    let answer = answer(&gateway, request.body(Full::new(Bytes::new())).unwrap()).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.headers["x-request-id"], "mine-1");
    assert_eq!(
        answer.json["details"][0]["request_info"]["request_id"],
        "mine-1"
    );
    assert!(!answer.json.to_string().contains("SELECT"));
}

/// MC-333, part of DB-240, part of DB-242
#[tokio::test]
async fn a_rate_above_the_limit_is_429_with_the_time_to_wait() {
    let mut wiring = wiring();
    wiring.limits = Limits {
        caller: NonZeroU32::new(2),
        environment: NonZeroU32::new(120),
        ..Limits::default()
    };
    let gateway = gateway(Pipeline::new(wiring).unwrap());
    let get = async || send(&gateway, "GET", "/api/v1/organizations", ALL, "").await;
    for (left, reset) in [(1, 30), (0, 60)] {
        let answer = get().await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.headers["ratelimit-policy"],
            "\"caller\";q=2;w=60, \"environment\";q=120;w=60"
        );
        let limit = answer.headers["ratelimit"].to_str().unwrap();
        let caller = format!("\"caller\";r={left};t={reset}, \"environment\";r=");
        assert!(limit.starts_with(&caller), "{limit}");
    }
    let refused = get().await;
    let limit = refused.headers["ratelimit"].to_str().unwrap();
    assert!(limit.starts_with("\"caller\";r=0;t="), "{limit}");
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json["details"][0]["error_code"], "RATE_LIMITED");
    let wait: u64 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_session_cookie_counts_only_for_same_origin_requests() {
    let gateway = gateway(pipeline());
    let get = async |site: &str| {
        let cookie = "__Host-keystead_session=WORKSPACE|organizations:read";
        let request = Request::builder()
            .uri("/api/v1/organizations")
            .header("host", HOST);
        let request = request
            .header("cookie", cookie)
            .header("sec-fetch-site", site);
        answer(&gateway, request.body(Full::new(Bytes::new())).unwrap())
            .await
            .status
            .as_u16()
    };
    assert_eq!(get("same-origin").await, 200);
    assert_eq!(get("cross-site").await, 401);
}

/// A change is followed to its end, or what is remembered of the old state would be believed.
#[tokio::test]
async fn a_method_runs_to_its_end_when_the_caller_hangs_up() {
    let hold = Arc::new(Hold::default());
    let gateway = gateway(Pipeline::new(wiring_with(hold.clone())).unwrap());
    let body = r#"{"display_name": "wait"}"#;
    let call = tokio::spawn(async move {
        send(&gateway, "POST", "/api/v1/organizations", ALL, body).await;
    });
    hold.begun.notified().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    hold.go.notify_one();
    tokio::time::timeout(Duration::from_secs(20), hold.ended.notified())
        .await
        .unwrap();
}
