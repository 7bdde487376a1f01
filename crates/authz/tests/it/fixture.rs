use futures_util::future::BoxFuture;
use keystead_authz::{
    Authorizer, Credentials, OauthError, SignedIn, StartedLogin, TokenEndpointRequest,
    TokenResponse,
};
use keystead_crypto::{RootKey, SystemRng};
use keystead_identity::{
    Actor, BaseUrl, Context, Created, FirstStart, Installation, Site, clients,
    clients::{ClientSettings, ClientType, CreateClient},
    environments::{self, AuthenticationMode, CreateEnvironment, EnvironmentKind},
    start,
};
use keystead_net::mail::{Mail, MailError, Mailer};
use keystead_testkit::engines::TestDb;
use keystead_types::{ClientId, EnvironmentId, IdGenerator, ManualClock, Secret, Timestamp};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// Keeps what was sent.
#[derive(Default, Debug)]
pub(crate) struct Outbox {
    sent: Mutex<Vec<Mail>>,
    changed: Notify,
}

impl Mailer for Outbox {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        self.sent.lock().unwrap().push(mail);
        self.changed.notify_waiters();
        Box::pin(async { Ok(()) })
    }
}

impl Outbox {
    /// How many were sent so far.
    pub(crate) fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    /// Waits until `count` were sent and gives all of them.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Mail> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let sent = self.sent.lock().unwrap().clone();
            if sent.len() >= count {
                return sent;
            }
            changed.await;
        }
    }
}

/// A started installation with one administrator and one API client.
pub(crate) struct App {
    pub(crate) ctx: Context,
    pub(crate) authorizer: Authorizer,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) created: Created,
    pub(crate) site: Arc<Site>,
    pub(crate) actor: Actor,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) mailer: Arc<dyn Mailer>,
}

impl App {
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
            admin_first_name: String::new(),
            admin_last_name: String::new(),
            default_environment: EnvironmentKind::Development,
        };
        let created = start(&ctx, seed).await.unwrap().unwrap();
        let site = ctx.site(created.environment.id).await.unwrap().unwrap();
        let outbox = Arc::new(Outbox::default());
        let mailer: Arc<dyn Mailer> = outbox.clone();
        let authorizer = Authorizer::new(ctx.clone());
        Self {
            ctx,
            authorizer,
            clock,
            created,
            site,
            actor: Actor::system(),
            outbox,
            mailer,
        }
    }

    pub(crate) fn env(&self) -> EnvironmentId {
        self.site.environment.id
    }

    pub(crate) async fn another_site(&self) -> Arc<Site> {
        let command = CreateEnvironment {
            display_name: "Staging".to_owned(),
            kind: EnvironmentKind::Development,
            region: None,
            authentication_mode: AuthenticationMode::Modular,
        };
        let created = environments::create(&self.ctx, self.created.workspace, &self.actor, command)
            .await
            .unwrap();
        self.ctx.site(created.id).await.unwrap().unwrap()
    }

    pub(crate) async fn client(&self, kind: ClientType, settings: ClientSettings) -> ClientId {
        let command = CreateClient {
            name: "App".to_owned(),
            kind,
            access_token_expiry: None,
            disallow_api_access: false,
            settings,
        };
        clients::create(&self.ctx, self.env(), &self.actor, command)
            .await
            .unwrap()
            .row
            .id
    }

    /// The form the official clients send.
    pub(crate) async fn form(&self, site: &Site, body: &str) -> Result<TokenResponse, OauthError> {
        let request = TokenEndpointRequest {
            content_type: Some("application/x-www-form-urlencoded; charset=utf-8"),
            authorization: &["Bearer outdated"],
            body: body.as_bytes(),
            peer: None,
        };
        self.authorizer.token(site, request).await
    }

    pub(crate) async fn token_for(
        &self,
        client: ClientId,
        secret: &Secret<String>,
    ) -> Result<TokenResponse, OauthError> {
        let secret = secret.expose();
        let body =
            format!("grant_type=client_credentials&client_id={client}&client_secret={secret}");
        self.form(&self.site, &body).await
    }

    /// A token of the environment's own client.
    pub(crate) async fn token(&self) -> Secret<String> {
        self.token_for(self.created.client, &self.created.secret.plain)
            .await
            .unwrap()
            .access_token
    }

    /// Begins a sign-in of the administrator and waits for the code.
    pub(crate) async fn asked_for_code(&self) -> (StartedLogin, String) {
        let before = self.outbox.count();
        let started = self
            .authorizer
            .start_login(&self.mailer, "ada@acme.test", None)
            .await
            .unwrap();
        let mails = self.outbox.wait_for(before + 1).await;
        let code = code_in(&mails[before].text);
        (started, code)
    }

    pub(crate) async fn signed_in(&self) -> SignedIn {
        let (started, code) = self.asked_for_code().await;
        self.authorizer
            .finish_login(&started.attempt, &code, None)
            .await
            .unwrap()
    }
}

/// The code in a mail.
pub(crate) fn code_in(text: &str) -> String {
    let is_code = |word: &&str| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit());
    text.split_whitespace().find(is_code).unwrap().to_owned()
}

pub(crate) fn bearers(tokens: &[&Secret<String>]) -> Credentials {
    Credentials {
        bearers: tokens.iter().map(|token| (*token).clone()).collect(),
        ..Credentials::default()
    }
}

pub(crate) fn session(token: &Secret<String>) -> Credentials {
    Credentials {
        session_cookie: Some(token.clone()),
        ..Credentials::default()
    }
}
