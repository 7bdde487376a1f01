//! Every method, every kind of credential: the answer is the one the contract's table gives.

use crate::app::{HOST, answer, gateway, wiring};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use keystead_gateway::{
    Gateway, Limits, Pipeline,
    contract::{CallerKinds, Method},
    transcode::template::Segment,
    validate::Validate,
};
use keystead_types::FieldViolation;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tonic::{Code, Status, service::Routes};
use tower::ServiceExt;

/// Lets every message pass, so that the walk reaches the methods themselves.
struct NoRules;

impl Validate for NoRules {
    fn is_free(&self, _: &MessageDescriptor) -> bool {
        true
    }

    fn violations(&self, _: &DynamicMessage) -> Vec<FieldViolation> {
        Vec::new()
    }
}

fn unbuilt() -> Pipeline {
    let mut wiring = wiring();
    wiring.routes = Routes::default();
    wiring.rules = Box::new(NoRules);
    wiring.limits = Limits {
        caller: None,
        anonymous: None,
        environment: None,
    };
    Pipeline::new(wiring).unwrap()
}

/// The credentials to try: none, a wrong one, and each kind with and without each permission.
fn credentials(method: &Method) -> Vec<(String, Code)> {
    let open = method.callers.allow_anonymous();
    let blocked = method.callers == CallerKinds::BLOCKED;
    let expect = |otherwise| {
        if open || blocked {
            Code::Unimplemented
        } else {
            otherwise
        }
    };
    let mut all = vec![
        (String::new(), expect(Code::Unauthenticated)),
        ("wrong".to_owned(), expect(Code::Unauthenticated)),
    ];
    for (kind, name) in CallerKinds::CREDENTIALS {
        let allowed = method.callers.allow(*kind);
        let lacking = if allowed && method.permissions.is_empty() {
            Code::Unimplemented
        } else {
            Code::PermissionDenied
        };
        all.push((format!("{name}|"), expect(lacking)));
        all.push((format!("{name}|some:other"), expect(lacking)));
        for permission in &method.permissions {
            let holding = if allowed {
                Code::Unimplemented
            } else {
                Code::PermissionDenied
            };
            all.push((format!("{name}|some:other;{permission}"), expect(holding)));
        }
    }
    all
}

fn with_token(token: &str, request: http::request::Builder) -> http::request::Builder {
    if token.is_empty() {
        request
    } else {
        request.header("authorization", format!("Bearer {token}"))
    }
}

async fn over_grpc(pipeline: &Pipeline, method: &Method, token: &str) -> Status {
    let request = Request::builder()
        .method("POST")
        .uri(format!("https://{HOST}{}", method.path));
    let request = with_token(token, request.header("content-type", "application/grpc"));
    let request = request
        .body(Full::new(Bytes::from_static(&[0; 5])))
        .unwrap();
    let response = pipeline.clone().oneshot(request).await.unwrap();
    status(response.headers()).unwrap()
}

fn status(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers)
}

/// Part of DB-046
#[tokio::test]
async fn over_grpc_the_permission_table_decides() {
    let pipeline = unbuilt();
    let mut calls = 0;
    for method in pipeline.contract().methods() {
        for (token, expected) in credentials(method) {
            let status = over_grpc(&pipeline, method, &token).await;
            assert_eq!(status.code(), expected, "{} with {token:?}", method.path);
            assert!(
                !status.details().is_empty(),
                "{} has no ErrorInfo",
                method.path
            );
            calls += 1;
        }
    }
    assert!(calls > 444 * 14, "{calls}");
}

#[tokio::test]
async fn over_rest_every_binding_gives_the_same_answer() {
    let pipeline = unbuilt();
    let gateway = gateway(pipeline.clone());
    for method in pipeline.contract().methods() {
        for index in 0..method.bindings.len() {
            for (token, expected) in credentials(method) {
                check_binding(&gateway, method, index, &token, expected).await;
            }
        }
    }
}

async fn check_binding(
    gateway: &Gateway,
    method: &Method,
    index: usize,
    token: &str,
    expected: Code,
) {
    let binding = &method.bindings[index];
    let pieces = binding
        .template
        .segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(text) => text.clone(),
            // A number fits every kind of field.
            Segment::Variable { verb, .. } => format!("1{verb}"),
            Segment::Rest => "x".to_owned(),
        });
    let path = format!("/{}", pieces.collect::<Vec<_>>().join("/"));
    let request = Request::builder()
        .method(&binding.verb)
        .uri(&path)
        .header("host", HOST);
    let answer = answer(
        gateway,
        with_token(token, request)
            .body(Full::new(Bytes::new()))
            .unwrap(),
    )
    .await;
    let (http, error_code) = match expected {
        Code::Unimplemented => (501, "UNIMPLEMENTED"),
        Code::Unauthenticated => (401, "UNAUTHENTICATED"),
        _ => (403, "PERMISSION_DENIED"),
    };
    let context = format!("{} {path} with {token:?}: {}", binding.verb, answer.line());
    assert_eq!(answer.status.as_u16(), http, "{context}");
    assert_eq!(answer.json["code"], i32::from(expected), "{context}");
    assert_eq!(
        answer.json["details"][0]["error_code"], error_code,
        "{context}"
    );
    assert!(
        answer.json["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{context}"
    );
}

#[tokio::test]
async fn rules_are_checked_before_a_method_says_that_it_is_not_built() {
    let mut wiring = wiring();
    wiring.routes = Routes::default();
    let pipeline = Pipeline::new(wiring).unwrap();
    let method = "/scalekit.v1.organizations.OrganizationService/CreateOrganization";
    let method = pipeline.contract().by_path(method).unwrap().clone();
    let request = Request::builder()
        .method("POST")
        .uri(format!("https://{HOST}{}", method.path));
    let request = request
        .header("content-type", "application/grpc")
        .header("authorization", "Bearer CLIENT|organizations:write");
    let response = pipeline
        .oneshot(
            request
                .body(Full::new(Bytes::from_static(&[0; 5])))
                .unwrap(),
        )
        .await
        .unwrap();
    assert_eq!(
        status(response.headers()).unwrap().code(),
        Code::InvalidArgument
    );
    response.into_body().collect().await.unwrap();
}
