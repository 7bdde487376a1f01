//! The services without the gateway, and callers as the gateway would put them in.

use keystead_agentkit::{AgentKit, catalogue::Catalogue};
use keystead_api::App;
use keystead_authz::{Authorizer, Caller, Credentials, TokenEndpointRequest};
use keystead_crypto::{RootKey, SystemRng};
use keystead_identity::{
    Actor, BaseUrl, Context, Created, FirstStart, Installation, Site, clients,
    environments::{Environment, EnvironmentKind},
    start,
};
use keystead_net::{
    GuardedClient, Settings,
    mail::{Mail, MailError, Mailer},
};
use keystead_proto::v1::errdetails::ErrorInfo;
use keystead_testkit::engines::TestDb;
use keystead_types::{ClientId, IdGenerator, ManualClock, Secret, Timestamp};
use prost::Message;
use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;
use tonic::{Code, Request, Status, service::Routes};

/// A started installation with one administrator and one API client.
pub(crate) struct Server {
    pub(crate) ctx: Context,
    pub(crate) created: Created,
    authorizer: Authorizer,
    clock: Arc<ManualClock>,
    routes: Routes,
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

impl Server {
    pub(crate) async fn started(test: &TestDb) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_790_000_000)));
        let ctx = Context::new(
            test.db.clone(),
            clock.clone(),
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
            admin_first_name: "Ada".to_owned(),
            admin_last_name: String::new(),
            default_environment: EnvironmentKind::Development,
        };
        let created = start(&ctx, seed).await.unwrap().unwrap();
        let authorizer = Authorizer::new(ctx.clone());
        let http = GuardedClient::new(Settings::default()).unwrap();
        let app = App {
            ctx: ctx.clone(),
            authorizer: authorizer.clone(),
            agentkit: AgentKit::new(ctx.clone(), http, Catalogue::embedded(), "test".to_owned()),
        };
        Self {
            ctx,
            created,
            authorizer,
            clock,
            routes: keystead_api::routes(app).prepare(),
        }
    }

    pub(crate) fn routes(&self) -> Routes {
        self.routes.clone()
    }

    /// Lets some milliseconds pass, so that ids and times differ.
    pub(crate) fn tick(&self) {
        self.clock.advance(Duration::from_millis(5));
    }

    async fn site(&self, environment: &Environment) -> Arc<Site> {
        self.ctx.site(environment.id).await.unwrap().unwrap()
    }

    async fn by_token(&self, site: &Site, client: ClientId, secret: &Secret<String>) -> Caller {
        let secret = secret.expose();
        let body =
            format!("grant_type=client_credentials&client_id={client}&client_secret={secret}");
        let form = TokenEndpointRequest {
            content_type: Some("application/x-www-form-urlencoded"),
            authorization: &[],
            body: body.as_bytes(),
            peer: None,
        };
        let token = self
            .authorizer
            .token(site, form)
            .await
            .unwrap()
            .access_token;
        let credentials = Credentials {
            bearers: vec![token],
            ..Credentials::default()
        };
        self.authorizer
            .authenticate(site, &credentials)
            .await
            .unwrap()
    }

    /// The API client of the default environment.
    pub(crate) async fn client(&self) -> Caller {
        let site = self.site(&self.created.environment).await;
        self.by_token(&site, self.created.client, &self.created.secret.plain)
            .await
    }

    /// The API client of another environment.
    pub(crate) async fn client_of(&self, environment: &Environment) -> Caller {
        let actor = Actor::system();
        let client = clients::environment_client(&self.ctx, environment.id)
            .await
            .unwrap();
        let secret = clients::create_secret(&self.ctx, environment.id, &actor, client)
            .await
            .unwrap();
        let site = self.site(environment).await;
        self.by_token(&site, client, &secret.plain).await
    }

    /// The administrator, signed in.
    pub(crate) async fn member(&self) -> Caller {
        let postbox = Arc::new(Postbox::default());
        let mailer: Arc<dyn Mailer> = postbox.clone();
        let started = self
            .authorizer
            .start_login(&mailer, "ada@acme.test", None)
            .await
            .unwrap();
        postbox.arrived.notified().await;
        let mail = postbox.last.lock().unwrap().take().unwrap();
        let is_code =
            |word: &&str| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit());
        let code = mail.text.split_whitespace().find(is_code).unwrap();
        let signed_in = self
            .authorizer
            .finish_login(&started.attempt, code, None)
            .await
            .unwrap();
        let credentials = Credentials {
            session_cookie: Some(signed_in.session),
            ..Credentials::default()
        };
        let site = self.site(&self.created.environment).await;
        self.authorizer
            .authenticate(&site, &credentials)
            .await
            .unwrap()
    }
}

/// Puts the caller into each request, as the gateway does.
pub(crate) fn sent_by(
    caller: &Caller,
) -> impl FnMut(Request<()>) -> Result<Request<()>, Status> + Clone + use<> {
    let caller = caller.clone();
    move |mut request| {
        request.extensions_mut().insert(caller.clone());
        Ok(request)
    }
}

/// Status code and error code of a failure.
pub(crate) fn reason(status: &Status) -> (Code, String) {
    #[derive(Clone, PartialEq, Message)]
    struct RpcStatus {
        #[prost(message, repeated, tag = "3")]
        details: Vec<prost_types::Any>,
    }
    let details = RpcStatus::decode(status.details()).unwrap().details;
    assert_eq!(details.len(), 1);
    let info = ErrorInfo::decode(details[0].value.as_slice()).unwrap();
    (status.code(), info.error_code)
}
