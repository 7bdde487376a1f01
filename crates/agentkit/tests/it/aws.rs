//! AWS federation: an STS and a service that check what arrives (AK-229).

use crate::fixture::{App, call, object, of_user};
use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::Request,
    routing::{any, post},
};
use http::{HeaderValue, Method, StatusCode};
use keystead_agentkit::{
    accounts::{AccountStatus, CredentialInput, NewAccount},
    catalogue::Catalogue,
    connections::{Connection, ConnectionPatch},
    providers::AwsSettings,
    proxy::{ProxyBody, ProxyCall},
};
use keystead_jose::{Expect, verify};
use keystead_net::RequestBody;
use keystead_oauth::{AwsRequest, SigV4, payload_hash};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ConnectedAccountId, Secret};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

const SECRET: &str = "s3cr3t/key+1";
const ROLE: &str = "arn:aws:iam::123456789012:role/agents";

/// Knows one key and checks signatures with it, over what really arrived.
#[derive(Clone, Default)]
struct Aws {
    forms: Arc<Mutex<Vec<BTreeMap<String, String>>>>,
    refuse: Arc<Mutex<Option<(u16, &'static str)>>>,
}

impl Aws {
    fn routes(&self) -> Router {
        let sts = self.clone();
        Router::new()
            .route("/aws/sts", post(async move |body: Bytes| sts.assume(&body)))
            .route("/aws/api/{*rest}", any(checked))
    }

    fn assume(&self, body: &Bytes) -> (StatusCode, String) {
        let form = url::form_urlencoded::parse(body).into_owned().collect();
        let mut forms = self.forms.lock().unwrap();
        forms.push(form);
        if let Some((status, code)) = *self.refuse.lock().unwrap() {
            let told = format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>");
            return (StatusCode::from_u16(status).unwrap(), told);
        }
        let made = format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>ASIA{}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
             <SessionToken>session-t0ken</SessionToken></Credentials></AssumeRoleWithWebIdentityResult>\
             </AssumeRoleWithWebIdentityResponse>",
            forms.len()
        );
        (StatusCode::OK, made)
    }

    fn forms(&self) -> Vec<BTreeMap<String, String>> {
        self.forms.lock().unwrap().clone()
    }
}

/// 200 with the key's id when the signature is that of the request, else 403.
async fn checked(request: Request) -> (StatusCode, String) {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let header = |name: &str| {
        head.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    };
    let given = header("authorization");
    let part = |name: &str| {
        let (_, rest) = given.split_once(name)?;
        rest.split(", ").next()
    };
    let Some((credential, names)) = part("Credential=").zip(part("SignedHeaders=")) else {
        return (StatusCode::FORBIDDEN, given.to_owned());
    };
    let scope: Vec<&str> = credential.split('/').collect();
    let signed: Vec<(&str, &str)> = names.split(';').map(|name| (name, header(name))).collect();
    let secret = Secret::new(SECRET.to_owned());
    let signer = SigV4 {
        access_key_id: scope[0],
        secret: &secret,
        region: scope[2],
        service: scope[3],
    };
    let payload = if header("x-amz-content-sha256") == "UNSIGNED-PAYLOAD" {
        "UNSIGNED-PAYLOAD".to_owned()
    } else {
        payload_hash(&body)
    };
    let arrived = AwsRequest {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or(""),
        headers: &signed,
        payload: &payload,
    };
    let expected = signer.authorization(&arrived, header("x-amz-date"));
    let complete = ["host", "x-amz-date", "x-amz-security-token"]
        .iter()
        .all(|name| names.split(';').any(|one| one == *name));
    let right = given == expected && complete && header("x-amz-security-token") == "session-t0ken";
    if right {
        (StatusCode::OK, credential.to_owned())
    } else {
        (StatusCode::FORBIDDEN, given.to_owned())
    }
}

async fn federated(test: &TestDb, service: &str) -> (App, Aws, Connection) {
    let aws = Aws::default();
    let mut app = App::started_with(test, |_| aws.routes()).await;
    let mut provider = Catalogue::embedded()
        .find("REDSHIFT")
        .unwrap()
        .as_ref()
        .clone();
    provider.proxy_url = app.upstream.url("/aws/api");
    for pattern in &mut provider.auth_patterns {
        pattern.aws = Some(AwsSettings {
            sts_uri: app.upstream.url("/aws/sts"),
            service: service.to_owned(),
        });
    }
    app.kit = app.kit_with(provider.clone());
    let connection = app.connection_of(&provider, "aws", json!({})).await;
    let mut settings = connection.settings.clone();
    settings.static_config = object(json!({"role_arn": ROLE, "region": "eu-west-1"}));
    let patch = ConnectionPatch {
        settings: Some(settings),
        ..ConnectionPatch::default()
    };
    let connection = app
        .kit
        .update_connection(app.env, &app.actor, connection.id, patch)
        .await
        .unwrap();
    (app, aws, connection)
}

async fn account(app: &App, api_config: Value) -> ConnectedAccountId {
    let new = NewAccount {
        credential: CredentialInput::TrustedIdp {
            db_user: "ada lovelace".to_owned(),
        },
        api_config: object(api_config),
        ..of_user("ada")
    };
    app.account("aws", new).await.account.id
}

on_both_engines! {
    /// Part of AK-005, part of AK-229: the environment's token is exchanged once, calls are signed with
    /// the key while it lives, and neither the user nor the caller can change whose role or key it is.
    async fn a_role_is_assumed_and_requests_are_signed(test: TestDb) {
        let (app, aws, connection) = federated(&test, "redshift-data").await;
        let id = account(&app, json!({"role_arn": "arn:aws:iam::666:role/evil", "region": "mars-1"})).await;
        let first = app.get(id, "/one?b=2&a=x%20y").await.unwrap();
        assert_eq!(first.status, 200, "{first:?}");
        let post = ProxyCall {
            headers: [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "RedshiftData.ExecuteStatement"),
                      ("x-amz-security-token", "forged"), ("x-amz-date", "20200101T000000Z")]
                .into_iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect(),
            body: ProxyBody::Buffered(Bytes::from_static(b"{\"Sql\": \"select 1\"}")),
            ..call(id, Method::POST, "/a%20b/c")
        };
        assert_eq!(app.send(post).await.unwrap().status, 200);

        let [form] = &aws.forms()[..] else { panic!("{:?}", aws.forms()) };
        let asked = |name: &str| form[name].as_str();
        assert_eq!((asked("Action"), asked("RoleArn"), asked("RoleSessionName")), ("AssumeRoleWithWebIdentity", ROLE, "ada-lovelace"));
        let keys = app.kit.ctx().signing_keys(app.env).await.unwrap();
        let issuer = app.kit.ctx().site(app.env).await.unwrap().unwrap();
        let expect = |audience| Expect {
            issuer: &issuer.base_url, audience: Some(audience), now: app.kit.ctx().clock.now(), leeway: Duration::ZERO,
        };
        let token = &form["WebIdentityToken"];
        verify(token, &keys.published, &expect("sts.amazonaws.com")).unwrap();
        assert!(verify(token, &keys.published, &expect(&issuer.base_url)).is_err(), "it is no token for this server");
        let claims: Value = serde_json::from_slice(&base64::Engine::decode(
            &base64::prelude::BASE64_URL_SAFE_NO_PAD, token.split('.').nth(1).unwrap()).unwrap()).unwrap();
        assert_eq!(claims["sub"], connection.id.to_string());

        app.clock.advance(Duration::from_secs(3601));
        let later = app.get(id, "/two").await.unwrap();
        assert_eq!((later.status, aws.forms().len()), (200, 2));
    }

    /// Part of AK-229: a body whose hash is not known is refused, or sent unsigned where the service takes it.
    async fn a_streamed_body_is_signed_only_where_it_can_be(test: TestDb) {
        let streamed = |id| ProxyCall {
            body: ProxyBody::Streamed(RequestBody::from(Bytes::from_static(b"large"))),
            ..call(id, Method::PUT, "/object")
        };
        let (app, _, _) = federated(&test, "redshift-data").await;
        let id = account(&app, json!({})).await;
        assert_eq!(app.send(streamed(id)).await.unwrap_err().http_status(), 400);
    }

    /// Part of AK-229, AK-224: a refused role expires the account, a fault of AWS does not.
    async fn a_refusal_of_aws_is_told_from_a_fault(test: TestDb) {
        let (app, aws, _) = federated(&test, "s3").await;
        let id = account(&app, json!({})).await;
        *aws.refuse.lock().unwrap() = Some((400, "IDPCommunicationError"));
        app.get(id, "/x").await.unwrap_err();
        assert_eq!(app.read(id).await.status, AccountStatus::Active);
        *aws.refuse.lock().unwrap() = None;
        app.clock.advance(Duration::from_secs(3600));
        let body = ProxyBody::Streamed(RequestBody::from(Bytes::from_static(b"large")));
        let put = ProxyCall { body, ..call(id, Method::PUT, "/object") };
        assert_eq!(app.send(put).await.unwrap().status, 200, "S3 takes a body without its hash");
        *aws.refuse.lock().unwrap() = Some((403, "AccessDenied"));
        app.clock.advance(Duration::from_secs(3601));
        app.get(id, "/x").await.unwrap_err();
        let account = app.read(id).await;
        assert_eq!(account.status, AccountStatus::Expired);
        assert!(account.status_reason.contains("AccessDenied"), "{}", account.status_reason);
    }
}
