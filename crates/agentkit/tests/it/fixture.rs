//! An installation with AgentKit, and the provider it talks to.

use crate::upstream::{Upstream, http_client};
use axum::Router;
use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use keystead_agentkit::{
    AgentKit,
    accounts::{Account, AccountKey, AccountStatus, Grounds, NewAccount},
    catalogue::Catalogue,
    connections::{
        AuthMode, Connection, ConnectionPatch, ConnectionSettings, NewConnection, SecretsPatch,
    },
    links::{CallbackEnd, NewLink, OpenLink},
    providers::{CustomProviderInput, Provider},
    proxy::{ProxyAnswer, ProxyBody, ProxyCall, ProxyError},
    settings::{Settings, Verification},
};
use keystead_crypto::{RootKey, SystemRng};
use keystead_identity::{
    Actor, BaseUrl, Context, FirstStart, Installation, environments,
    environments::{AuthenticationMode, CreateEnvironment, EnvironmentKind},
    start,
};
use keystead_net::Policy;
use keystead_sandbox::{CLIENT_ID, CLIENT_SECRET};
use keystead_store::{
    Db, audit_records, connected_accounts, connected_accounts::AccountRow, events, events::Event,
};
use keystead_testkit::engines::TestDb;
use keystead_types::{
    Clock, ConnectedAccountId, ConnectionId, EnvironmentId, IdGenerator, ManualClock, PageRequest,
    PageSize, Secret, Timestamp,
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use url::Url;

const ROOT_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
/// Longer than an access token of the sandbox lives.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(3700);

/// A clock that tells how often it was read: whoever waits in a loop reads it in each round.
#[derive(Debug)]
pub(crate) struct WatchedClock {
    pub(crate) inner: Arc<ManualClock>,
    pub(crate) reads: tokio::sync::watch::Sender<u64>,
}

impl Clock for WatchedClock {
    fn now(&self) -> Timestamp {
        self.reads.send_modify(|reads| *reads += 1);
        self.inner.now()
    }
}

/// A started installation whose default environment verifies nobody.
pub(crate) struct App {
    pub(crate) kit: AgentKit,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) upstream: Upstream,
    pub(crate) env: EnvironmentId,
    pub(crate) workspace: keystead_types::WorkspaceId,
    pub(crate) actor: Actor,
}

fn context(db: Db, clock: Arc<dyn Clock>, node: u16) -> Context {
    Context::new(
        db,
        clock,
        Arc::new(SystemRng),
        Arc::new(IdGenerator::new(node)),
        RootKey::parse(ROOT_KEY).unwrap(),
        Installation {
            base_url: BaseUrl::parse("https://localhost:8443").unwrap(),
            dev_mode: true,
        },
    )
}

/// A process that reads a clock of its own.
pub(crate) fn node_at(db: Db, node: u16, policy: Policy, clock: Arc<dyn Clock>) -> AgentKit {
    AgentKit::new(
        context(db, clock, node),
        http_client(policy),
        Catalogue::embedded(),
        format!("node-{node}"),
    )
}

impl App {
    pub(crate) async fn started(test: &TestDb) -> Self {
        Self::started_with(test, |_| Router::new()).await
    }

    /// As [`Self::started`]; the provider has further routes, which may look into the database.
    pub(crate) async fn started_with(test: &TestDb, more: impl FnOnce(&Context) -> Router) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let ctx = context(test.db.clone(), Arc::clone(&clock) as Arc<dyn Clock>, 1);
        let created = start(
            &ctx,
            FirstStart {
                workspace_name: "Acme".to_owned(),
                admin_email: "ada@acme.test".to_owned(),
                admin_first_name: "Ada".to_owned(),
                admin_last_name: String::new(),
                default_environment: EnvironmentKind::Development,
            },
        )
        .await
        .unwrap()
        .unwrap();
        let upstream = Upstream::start(Arc::clone(&clock), more(&ctx)).await;
        let kit = AgentKit::new(
            ctx,
            http_client(Policy::development()),
            Catalogue::embedded(),
            "node-1".to_owned(),
        );
        let app = Self {
            kit,
            clock,
            upstream,
            env: created.environment.id,
            workspace: created.workspace,
            actor: Actor {
                name: "skc_1".to_owned(),
                request_id: Some("req_1".to_owned()),
            },
        };
        app.verify(Verification::None).await;
        app
    }

    /// Another process on the same database, with nothing in memory.
    pub(crate) fn node(&self, db: Db, node: u16) -> AgentKit {
        self.node_with(db, node, Policy::development())
    }

    pub(crate) fn node_with(&self, db: Db, node: u16, policy: Policy) -> AgentKit {
        node_at(db, node, policy, Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    /// As the app's own, with one more built-in connector.
    pub(crate) fn kit_with(&self, provider: Provider) -> AgentKit {
        let catalogue = Catalogue::embedded().with(provider);
        AgentKit::new(
            self.kit.ctx().clone(),
            http_client(Policy::development()),
            catalogue,
            "node-1b".to_owned(),
        )
    }

    pub(crate) async fn another_environment(&self, name: &str) -> EnvironmentId {
        self.environment(name, EnvironmentKind::Development).await
    }

    pub(crate) async fn production(&self) -> EnvironmentId {
        self.environment("Live", EnvironmentKind::Production).await
    }

    async fn environment(&self, name: &str, kind: EnvironmentKind) -> EnvironmentId {
        let command = CreateEnvironment {
            display_name: name.to_owned(),
            kind,
            region: None,
            authentication_mode: AuthenticationMode::Modular,
        };
        environments::create(self.kit.ctx(), self.workspace, &self.actor, command)
            .await
            .unwrap()
            .id
    }

    pub(crate) async fn verify(&self, verification: Verification) {
        let settings = Settings {
            verification,
            ..Settings::default()
        };
        self.kit
            .update_settings(self.env, &self.actor, false, |stored| *stored = settings)
            .await
            .unwrap();
    }

    // --- Connectors and connections

    /// The auth pattern of the sandbox's OAuth server.
    pub(crate) fn oauth_pattern(&self) -> Value {
        json!({
            "type": "OAUTH",
            "display_name": "OAuth",
            "oauth_config": {
                "authorize_uri": self.upstream.url("/sandbox/provider/authorize"),
                "token_uri": self.upstream.url("/sandbox/provider/token"),
                "revocation_uri": self.upstream.url("/sandbox/provider/revoke"),
                "available_scopes": [{"scope": "read"}, {"scope": "write"}, {"scope": "admin"}],
            },
        })
    }

    pub(crate) fn api(&self) -> String {
        self.upstream.url("/sandbox/provider/api")
    }

    pub(crate) async fn provider(&self, name: &str, pattern: Value) -> Provider {
        let input = provider_input(name, &pattern, &self.api());
        self.kit
            .create_custom_provider(self.env, &self.actor, input)
            .await
            .unwrap()
    }

    pub(crate) async fn connection_of(
        &self,
        provider: &Provider,
        name: &str,
        context: Value,
    ) -> Connection {
        let new = NewConnection {
            provider_key: provider.identifier.clone(),
            kind: None,
            key_id: Some(name.to_owned()),
            context: object(context),
            auth_mode: AuthMode::User,
        };
        self.kit
            .create_connection(self.env, &self.actor, new)
            .await
            .unwrap()
    }

    /// A connection with static credentials.
    pub(crate) async fn static_connection(&self, name: &str, pattern: Value) -> Connection {
        let provider = self.provider(name, pattern).await;
        self.connection_of(&provider, name, json!({})).await
    }

    /// A complete OAuth connection named `sandbox`.
    pub(crate) async fn oauth(&self) -> Connection {
        self.oauth_with("sandbox", self.oauth_pattern(), json!({}), |_| {})
            .await
    }

    pub(crate) async fn oauth_context(&self, context: Value) -> Connection {
        self.oauth_with("sandbox", self.oauth_pattern(), context, |_| {})
            .await
    }

    pub(crate) async fn oauth_with(
        &self,
        name: &str,
        pattern: Value,
        context: Value,
        change: impl FnOnce(&mut ConnectionSettings),
    ) -> Connection {
        let provider = self.provider(name, pattern).await;
        let connection = self.connection_of(&provider, name, context).await;
        self.configure(connection, CLIENT_ID, CLIENT_SECRET, |settings| {
            settings.scopes = vec!["read".to_owned(), "write".to_owned()];
            change(settings);
        })
        .await
    }

    pub(crate) async fn configure(
        &self,
        connection: Connection,
        client_id: &str,
        client_secret: &str,
        change: impl FnOnce(&mut ConnectionSettings),
    ) -> Connection {
        let mut settings = connection.settings.clone();
        settings.client_id = Some(client_id.to_owned());
        change(&mut settings);
        let secrets = SecretsPatch {
            client_secret: (!client_secret.is_empty())
                .then(|| Secret::new(client_secret.to_owned())),
            ..SecretsPatch::default()
        };
        let patch = ConnectionPatch {
            key_id: None,
            settings: Some(settings),
            secrets,
        };
        self.kit
            .update_connection(self.env, &self.actor, connection.id, patch)
            .await
            .unwrap()
    }

    // --- Accounts and links

    pub(crate) async fn account(&self, connector: &str, new: NewAccount) -> Arc<Grounds> {
        let new = NewAccount {
            connector: connector.to_owned(),
            ..new
        };
        self.kit
            .create_account(self.env, &self.actor, new)
            .await
            .unwrap()
    }

    pub(crate) async fn link(&self, connector: &str, identifier: &str) -> OpenLink {
        self.link_with(NewLink {
            key: named(connector, identifier),
            ..NewLink::default()
        })
        .await
    }

    pub(crate) async fn link_with(&self, new: NewLink) -> OpenLink {
        let link = self
            .kit
            .create_link(self.env, &self.actor, new)
            .await
            .unwrap();
        let (token, nonce) = parts(&link.url);
        self.kit.open_link(self.env, &token, &nonce).await.unwrap()
    }

    /// Consents as Ada and comes back.
    pub(crate) async fn consent(&self, connection: ConnectionId, link: &OpenLink) -> CallbackEnd {
        let consent = self.kit.begin_consent(self.env, link).await.unwrap();
        let back = self.upstream.allow(&consent).await;
        self.kit
            .finish_consent(self.env, connection, Some(&back.browser), &back.query)
            .await
            .unwrap()
    }

    /// An active account with tokens of the provider.
    pub(crate) async fn connected(
        &self,
        connection: &Connection,
        identifier: &str,
    ) -> ConnectedAccountId {
        let link = self.link(&connection.key_id, identifier).await;
        let end = self.consent(connection.id, &link).await;
        assert!(matches!(end, CallbackEnd::Connected), "{end:?}");
        link.grounds.account.id
    }

    pub(crate) async fn read(&self, id: ConnectedAccountId) -> Account {
        self.kit.account(self.env, by_id(id)).await.unwrap()
    }

    pub(crate) async fn status(&self, id: ConnectedAccountId) -> AccountStatus {
        self.read(id).await.status
    }

    pub(crate) async fn row(&self, id: ConnectedAccountId) -> AccountRow {
        let read = &mut self.kit.ctx().db.read(self.env);
        connected_accounts::find(read, id).await.unwrap().unwrap()
    }

    // --- Calls

    pub(crate) async fn get(
        &self,
        id: ConnectedAccountId,
        path: &str,
    ) -> Result<Answer, ProxyError> {
        send(&self.kit, self.env, call(id, Method::GET, path)).await
    }

    pub(crate) async fn send(&self, call: ProxyCall) -> Result<Answer, ProxyError> {
        send(&self.kit, self.env, call).await
    }

    // --- What was recorded

    /// Events of an environment, oldest first.
    pub(crate) async fn events(&self) -> Vec<Event> {
        let read = &mut self.kit.ctx().db.read(self.env);
        let end = Timestamp::from_micros(i64::MAX);
        let mut rows = events::latest(read, end, "~", 1000).await.unwrap();
        rows.reverse();
        rows
    }

    /// Kinds of the events, without their common beginning; a change of state shows the states.
    pub(crate) async fn happened(&self) -> Vec<String> {
        let short = |event: &Event| {
            let kind = event
                .kind
                .strip_prefix("connected_account.")
                .unwrap()
                .to_owned();
            match event.data.get("old_status").and_then(Value::as_str) {
                Some(old) => format!("{old}>{}", event.data["status"].as_str().unwrap()),
                None => kind,
            }
        };
        self.events().await.iter().map(short).collect()
    }

    /// What happened since `before` things had.
    pub(crate) async fn happened_since(&self, before: usize) -> Vec<String> {
        self.happened().await.split_off(before)
    }

    pub(crate) async fn audited(&self) -> Vec<String> {
        let read = &mut self.kit.ctx().db.read(self.env);
        let end = Timestamp::from_micros(i64::MAX);
        let rows = audit_records::latest(read, end, "~", 1000).await.unwrap();
        let mut actions: Vec<String> = rows.into_iter().map(|row| row.action).collect();
        actions.reverse();
        actions
    }
}

/// The provider's answer through the proxy, read to the end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) execution: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub(crate) async fn read(answer: ProxyAnswer) -> Self {
        let (parts, body) = answer.response.into_parts();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
            execution: answer.execution_id.to_string(),
        }
    }
}

pub(crate) async fn send(
    kit: &AgentKit,
    env: EnvironmentId,
    call: ProxyCall,
) -> Result<Answer, ProxyError> {
    Ok(Answer::read(kit.proxy(env, call).await?).await)
}

/// A call without headers and body.
pub(crate) fn call(id: ConnectedAccountId, method: Method, path: &str) -> ProxyCall {
    let (path, query) = path
        .split_once('?')
        .map_or((path, None), |(path, query)| (path, Some(query)));
    ProxyCall {
        key: by_id(id),
        method,
        path: path.to_owned(),
        query: query.map(ToOwned::to_owned),
        headers: HeaderMap::new(),
        upstream: None,
        body: ProxyBody::Buffered(Bytes::new()),
    }
}

/// A connector of the developer whose API is at `proxy_url`.
pub(crate) fn provider_input(name: &str, pattern: &Value, proxy_url: &str) -> CustomProviderInput {
    CustomProviderInput {
        display_name: name.to_owned(),
        description: String::new(),
        auth_patterns: json!([pattern]),
        proxy_url: proxy_url.to_owned(),
        proxy_enabled: true,
        icon_src: String::new(),
        metadata: BTreeMap::new(),
    }
}

pub(crate) fn by_id(id: ConnectedAccountId) -> AccountKey {
    AccountKey {
        id: Some(id.to_string()),
        ..AccountKey::default()
    }
}

pub(crate) fn named(connector: &str, identifier: &str) -> AccountKey {
    AccountKey {
        connector: Some(connector.to_owned()),
        identifier: Some(identifier.to_owned()),
        ..AccountKey::default()
    }
}

pub(crate) fn of_user(identifier: &str) -> NewAccount {
    NewAccount {
        identifier: identifier.to_owned(),
        ..NewAccount::default()
    }
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other}"),
    }
}

/// Token and nonce of a link.
pub(crate) fn parts(link: &Secret<String>) -> (Secret<String>, String) {
    let url = Url::parse(link.expose()).unwrap();
    let part = |name: &str| {
        url.query_pairs()
            .find(|(key, _)| key == name)
            .unwrap()
            .1
            .into_owned()
    };
    (Secret::new(part("token")), part("state"))
}

pub(crate) fn param(url: &Url, name: &str) -> Option<String> {
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

pub(crate) fn page(size: u32, token: &str) -> PageRequest {
    PageRequest {
        size: PageSize::clamp(size, 10, 100),
        token: token.to_owned(),
    }
}
