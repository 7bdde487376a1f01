//! A whole server without a listener: gateway, services, domain, database.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use keystead_agentkit::{AgentKit, accounts::AccountKey, catalogue::Catalogue};
use keystead_api::App;
use keystead_authz::{Authorizer, TokenEndpointRequest};
use keystead_crypto::{RootKey, SystemRng};
use keystead_gateway::{Gateway, Pipeline, Wiring};
use keystead_identity::{
    Actor, BaseUrl, Context, FirstStart, Installation, Site, clients,
    environments::{self, AuthenticationMode, CreateEnvironment, EnvironmentKind},
    start,
};
use keystead_net::{
    GuardedClient, Settings,
    mail::{Mail, MailError, Mailer},
};
use keystead_proto::extensions::{
    connected_account_extension_service_client::ConnectedAccountExtensionServiceClient,
    connection_extension_service_client::ConnectionExtensionServiceClient,
};
use keystead_proto::v1::{
    connected_accounts::connected_account_service_client::ConnectedAccountServiceClient,
    connections::connection_service_client::ConnectionServiceClient, errdetails::ErrorInfo,
    providers::provider_service_client::ProviderServiceClient,
};
use keystead_testkit::engines::TestDb;
use keystead_types::{AuthRequestId, IdGenerator, ManualClock, Secret, Timestamp};
use prost::Message;
use serde_json::Value as Json;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context as TaskContext, Poll},
};
use tokio::sync::Notify;
use tonic::{Status, body::Body};
use tower::Service;

pub(crate) struct World {
    pub(crate) ctx: Context,
    pub(crate) authorizer: Authorizer,
    pub(crate) kit: AgentKit,
    pub(crate) home: Place,
    pub(crate) other: Place,
    pipeline: Pipeline,
    gateway: Gateway,
}

/// An environment with a token of an API client.
pub(crate) struct Place {
    pub(crate) site: Arc<Site>,
    pub(crate) token: Secret<String>,
}

impl Place {
    pub(crate) fn host(&self) -> HeaderValue {
        let host = self.site.base_url.trim_start_matches("https://");
        host.parse().unwrap()
    }
}

/// Keeps the last mail.
#[derive(Default, Debug)]
struct Postbox {
    last: Mutex<Option<Mail>>,
    arrived: Notify,
}

impl Mailer for Postbox {
    fn send(&self, mail: Mail) -> Pin<Box<dyn Future<Output = Result<(), MailError>> + Send + '_>> {
        *self.last.lock().unwrap() = Some(mail);
        self.arrived.notify_one();
        Box::pin(async { Ok(()) })
    }
}

impl World {
    pub(crate) async fn started(test: &TestDb) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_790_000_000)));
        let ctx = Context::new(
            test.db.clone(),
            clock,
            Arc::new(SystemRng),
            Arc::new(IdGenerator::new(1)),
            RootKey::generate(&SystemRng),
            Installation {
                base_url: BaseUrl::parse("https://localhost:8443").unwrap(),
                dev_mode: true,
            },
        );
        let seed = FirstStart {
            workspace_name: "Acme".to_owned(),
            admin_email: "ada@acme.test".to_owned(),
            admin_first_name: String::new(),
            admin_last_name: String::new(),
            default_environment: EnvironmentKind::Development,
        };
        let created = start(&ctx, seed).await.unwrap().unwrap();
        let authorizer = Authorizer::new(ctx.clone());
        let kit = AgentKit::new(
            ctx.clone(),
            GuardedClient::new(Settings::default()).unwrap(),
            Catalogue::embedded(),
            "test".to_owned(),
        );
        let app = App {
            ctx: ctx.clone(),
            authorizer: authorizer.clone(),
            agentkit: kit.clone(),
        };
        let wiring = Wiring::new(
            Arc::new(authorizer.clone()),
            Arc::new(SystemRng),
            keystead_api::routes(app),
        )
        .unwrap();
        let pipeline = Pipeline::new(wiring).unwrap();
        let nothing = tower::service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        });
        let gateway = Gateway::new(pipeline.clone(), nothing).unwrap();

        let command = CreateEnvironment {
            display_name: "Staging".to_owned(),
            kind: EnvironmentKind::Development,
            region: None,
            authentication_mode: AuthenticationMode::Modular,
        };
        let actor = Actor::system();
        let staging = environments::create(&ctx, created.workspace, &actor, command)
            .await
            .unwrap();
        let client = clients::environment_client(&ctx, staging.id).await.unwrap();
        let secret = clients::create_secret(&ctx, staging.id, &actor, client)
            .await
            .unwrap();
        let place = async |id, client, secret: &Secret<String>| {
            let site = ctx.site(id).await.unwrap().unwrap();
            let body = format!(
                "grant_type=client_credentials&client_id={client}&client_secret={}",
                secret.expose()
            );
            let form = TokenEndpointRequest {
                content_type: Some("application/x-www-form-urlencoded"),
                authorization: &[],
                body: body.as_bytes(),
                peer: None,
            };
            let token = authorizer.token(&site, form).await.unwrap().access_token;
            Place { site, token }
        };
        let home = place(
            created.environment.id,
            created.client,
            &created.secret.plain,
        )
        .await;
        let other = place(staging.id, client, &secret.plain).await;
        Self {
            ctx,
            authorizer,
            kit,
            home,
            other,
            pipeline,
            gateway,
        }
    }

    /// As the API client of a place.
    pub(crate) fn client<'a>(&self, place: &'a Place) -> As<'a> {
        As {
            place,
            pipeline: self.pipeline.clone(),
            credential: (
                header::AUTHORIZATION,
                secret_header("Bearer ", &place.token),
            ),
        }
    }

    /// As the administrator, signed in, in the environment at home.
    pub(crate) async fn member(&self) -> As<'_> {
        let postbox = Arc::new(Postbox::default());
        let mailer: Arc<dyn Mailer> = postbox.clone();
        let login = self
            .authorizer
            .start_login(&mailer, "ada@acme.test", None)
            .await;
        postbox.arrived.notified().await;
        let mail = postbox.last.lock().unwrap().take().unwrap();
        let is_code =
            |word: &&str| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit());
        let code = mail.text.split_whitespace().find(is_code).unwrap();
        let attempt = login.unwrap().attempt;
        let signed_in = self
            .authorizer
            .finish_login(&attempt, code, None)
            .await
            .unwrap();
        As {
            place: &self.home,
            pipeline: self.pipeline.in_process(),
            credential: (
                header::COOKIE,
                secret_header("__Host-keystead_session=", &signed_in.session),
            ),
        }
    }

    /// As a visitor of a connect link of an account at home.
    pub(crate) async fn visitor(&self, account: &str) -> As<'_> {
        self.visitor_of(account, None).await
    }

    /// As [`Self::visitor`], who opened a link that was made for the account.
    pub(crate) async fn visitor_of(&self, account: &str, link: Option<AuthRequestId>) -> As<'_> {
        let env = self.home.site.environment.id;
        let mut tx = self.ctx.db.begin(env).await.unwrap();
        let token = self
            .authorizer
            .begin_portal_session(&mut tx, account.parse().unwrap(), link)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        As {
            place: &self.home,
            pipeline: self.pipeline.in_process(),
            credential: (header::COOKIE, secret_header("__Host-sk_portal=", &token)),
        }
    }

    /// A REST call of the API client at home.
    pub(crate) async fn rest(&self, verb: &str, path: &str, body: &Json) -> (StatusCode, Json) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = Request::builder()
            .method(verb)
            .uri(path)
            .header(header::HOST, self.home.host())
            .header(
                header::AUTHORIZATION,
                secret_header("Bearer ", &self.home.token),
            )
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        self.answer(request).await
    }

    /// A request as it comes from the network.
    pub(crate) async fn answer(&self, request: Request<Full<Bytes>>) -> (StatusCode, Json) {
        let (head, body) = self.gateway.handle(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (head.status, serde_json::from_slice(&bytes).unwrap())
    }

    /// What the database holds of an account.
    pub(crate) async fn stored(&self, account: &str) -> Arc<keystead_agentkit::accounts::Grounds> {
        let key = AccountKey {
            id: Some(account.to_owned()),
            ..AccountKey::default()
        };
        self.kit
            .grounds(self.home.site.environment.id, key)
            .await
            .unwrap()
    }
}

fn secret_header(prefix: &str, secret: &Secret<String>) -> HeaderValue {
    format!("{prefix}{}", secret.expose()).parse().unwrap()
}

/// gRPC calls with one credential in one environment.
#[derive(Clone)]
pub(crate) struct As<'a> {
    place: &'a Place,
    pipeline: Pipeline,
    credential: (header::HeaderName, HeaderValue),
}

impl As<'_> {
    /// The header that proves who it is.
    pub(crate) fn credential(&self) -> (header::HeaderName, HeaderValue) {
        self.credential.clone()
    }

    pub(crate) fn providers(&self) -> ProviderServiceClient<Caller> {
        ProviderServiceClient::new(self.caller())
    }

    pub(crate) fn connections(&self) -> ConnectionServiceClient<Caller> {
        ConnectionServiceClient::new(self.caller())
    }

    pub(crate) fn accounts(&self) -> ConnectedAccountServiceClient<Caller> {
        ConnectedAccountServiceClient::new(self.caller())
    }

    pub(crate) fn extensions(&self) -> ConnectedAccountExtensionServiceClient<Caller> {
        ConnectedAccountExtensionServiceClient::new(self.caller())
    }

    pub(crate) fn connection_extensions(&self) -> ConnectionExtensionServiceClient<Caller> {
        ConnectionExtensionServiceClient::new(self.caller())
    }

    fn caller(&self) -> Caller {
        Caller {
            host: self.place.host(),
            pipeline: self.pipeline.clone(),
            credential: self.credential.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Caller {
    host: HeaderValue,
    pipeline: Pipeline,
    credential: (header::HeaderName, HeaderValue),
}

impl Service<Request<Body>> for Caller {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let (name, value) = self.credential.clone();
        request.headers_mut().insert(name, value);
        request
            .headers_mut()
            .insert(header::HOST, self.host.clone());
        self.pipeline.call(request)
    }
}

/// `NOT_FOUND CONNECTION_NOT_FOUND`: what a client makes its decision on.
pub(crate) fn refused<T>(answer: Result<T, Status>) -> String {
    let Err(status) = answer else {
        panic!("the call succeeded");
    };
    let details = details(&status);
    let code = keystead_types::ErrorCode::ALL
        .iter()
        .find(|code| code.as_str() == details.error_code)
        .unwrap();
    assert_eq!(status.code() as i32, code.grpc() as i32);
    details.error_code
}

/// The one `ErrorInfo` of a failure.
pub(crate) fn details(status: &Status) -> ErrorInfo {
    #[derive(Clone, PartialEq, Message)]
    struct RpcStatus {
        #[prost(message, repeated, tag = "3")]
        details: Vec<prost_types::Any>,
    }
    let mut found = RpcStatus::decode(status.details()).unwrap().details;
    assert_eq!(found.len(), 1);
    ErrorInfo::decode(found.remove(0).value.as_slice()).unwrap()
}

/// JSON as the struct a client sends.
pub(crate) fn object(json: Json) -> prost_types::Struct {
    let Some(prost_types::value::Kind::StructValue(made)) = value(json).kind else {
        panic!("not an object");
    };
    made
}

/// JSON as the list a client sends.
pub(crate) fn list(json: Json) -> prost_types::ListValue {
    let Some(prost_types::value::Kind::ListValue(made)) = value(json).kind else {
        panic!("not a list");
    };
    made
}

fn value(json: Json) -> prost_types::Value {
    use prost_types::{ListValue, Struct, value::Kind};
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(value),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(items) => Kind::ListValue(ListValue {
            values: items.into_iter().map(value).collect(),
        }),
        Json::Object(pairs) => Kind::StructValue(Struct {
            fields: pairs
                .into_iter()
                .map(|(name, json)| (name, value(json)))
                .collect(),
        }),
    };
    prost_types::Value { kind: Some(kind) }
}
