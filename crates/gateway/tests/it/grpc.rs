use crate::app::{ALL, HOST, pipeline, wiring};
use keystead_gateway::Pipeline;
use keystead_proto::v1::{
    errdetails::ErrorInfo,
    organizations::{self as pb, organization_service_client::OrganizationServiceClient},
};
use prost::Message;
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tonic::{Code, Request, Status};

fn client(pipeline: Pipeline) -> OrganizationServiceClient<Pipeline> {
    OrganizationServiceClient::with_origin(pipeline, format!("https://{HOST}").parse().unwrap())
}

fn create(name: &str, tokens: &[&str]) -> Request<pb::CreateOrganizationRequest> {
    let organization = pb::CreateOrganization {
        display_name: name.to_owned(),
        ..Default::default()
    };
    let mut request = Request::new(pb::CreateOrganizationRequest {
        organization: Some(organization),
    });
    for token in tokens {
        request
            .metadata_mut()
            .append("authorization", format!("Bearer {token}").parse().unwrap());
    }
    request
}

/// `google.rpc.Status`, as a client decodes it.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

fn info(status: &Status) -> ErrorInfo {
    let packed = RpcStatus::decode(status.details()).unwrap();
    assert_eq!(
        (packed.code, packed.message.as_str()),
        (status.code().into(), status.message())
    );
    assert_eq!(packed.details.len(), 1, "exactly one detail");
    assert_eq!(
        packed.details[0].type_url,
        "type.googleapis.com/scalekit.v1.errdetails.ErrorInfo"
    );
    ErrorInfo::decode(packed.details[0].value.as_slice()).unwrap()
}

#[tokio::test]
async fn a_generated_client_calls_through_the_pipeline() {
    let response = client(pipeline())
        .create_organization(create("Acme", &[ALL]))
        .await
        .unwrap();
    assert_eq!(response.metadata().get("x-caller").unwrap(), "CLIENT");
    assert!(response.metadata().contains_key("x-request-id"));
    assert_eq!(
        response.into_inner().organization.unwrap().display_name,
        "Acme"
    );
}

/// What was logged, by the calls of all tests.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_refusal_is_logged_by_its_reason_without_what_was_sent() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // For all threads: what another one logs first would not be asked for here.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    tracing::callsite::rebuild_interest_cache();
    let refused = client(pipeline())
        .create_organization(create("taken by ada@acme.test", &[ALL]))
        .await
        .unwrap_err();
    assert!(refused.message().contains("ada@acme.test"));
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("refused") && log.contains("ALREADY_EXISTS"),
        "{log}"
    );
    assert!(!log.contains("ada@acme.test"), "{log}");
}

#[tokio::test]
async fn any_valid_one_of_several_tokens_counts() {
    let response = client(pipeline())
        .create_organization(create("Acme", &["expired", ALL]))
        .await;
    assert!(response.is_ok());
    let status = client(pipeline())
        .create_organization(create("Acme", &["expired", "other"]))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(info(&status).error_code, "UNAUTHENTICATED");
}

#[tokio::test]
async fn broken_rules_are_listed_by_field() {
    // The second is a rule of ours: PostgreSQL could not store it.
    for (name, rule) in [("", "string.min_len"), ("a\0b", "string.not_contains")] {
        let status = client(pipeline())
            .create_organization(create(name, &[ALL]))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let violations = info(&status)
            .validation_error_info
            .unwrap()
            .field_violations;
        assert_eq!(violations[0].field, "organization.display_name");
        assert_eq!(violations[0].constraint, rule);
    }
}

#[tokio::test]
async fn missing_permissions_are_named() {
    let token = "CLIENT|organizations:read";
    let status = client(pipeline())
        .create_organization(create("Acme", &[token]))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(
        info(&status).resource_info.unwrap().required_permissions,
        ["organizations:write"]
    );
}

#[tokio::test]
async fn a_call_ends_at_the_deadline_of_the_client_or_the_server() {
    let mut request = create("wait", &[ALL]);
    request.set_timeout(Duration::from_millis(20));
    let status = client(pipeline())
        .create_organization(request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);

    let mut wiring = wiring();
    wiring.max_call_time = Duration::from_millis(20);
    let client = &mut client(Pipeline::new(wiring).unwrap());
    let status = client
        .create_organization(create("wait", &[ALL]))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(info(&status).error_code, "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn our_own_pages_may_use_a_session_cookie() {
    let token = "__Host-keystead_session=WORKSPACE|organizations:write";
    let mut request = create("Acme", &[]);
    request
        .metadata_mut()
        .insert("cookie", token.parse().unwrap());
    assert!(
        client(pipeline().in_process())
            .create_organization(request)
            .await
            .is_ok()
    );
    let mut request = create("Acme", &[]);
    request
        .metadata_mut()
        .insert("cookie", token.parse().unwrap());
    let status = client(pipeline())
        .create_organization(request)
        .await
        .unwrap_err();
    assert_eq!(
        status.code(),
        Code::Unauthenticated,
        "a browser did not vouch for it"
    );
}

#[tokio::test]
async fn a_method_outside_the_contract_is_unimplemented() {
    use keystead_proto::v1::errdetails::dummy_client::DummyClient;
    let origin = format!("https://{HOST}").parse().unwrap();
    let mut dummy = DummyClient::with_origin(pipeline(), origin);
    let status = dummy.dummy_service(()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented, "nobody may call it");
    assert_eq!(info(&status).error_code, "UNIMPLEMENTED");
}
