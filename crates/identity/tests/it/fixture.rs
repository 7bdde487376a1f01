use keystead_crypto::{RootKey, SystemRng};
use keystead_identity::{
    Actor, BaseUrl, Context, Created, FirstStart, Installation, environments,
    environments::{AuthenticationMode, CreateEnvironment, Environment, EnvironmentKind},
    start,
    upkeep::UpkeepPlan,
};
use keystead_store::audit_records;
use keystead_testkit::engines::TestDb;
use keystead_types::{EnvironmentId, IdGenerator, ManualClock, PageRequest, PageSize, Timestamp};
use std::{sync::Arc, time::Duration};

pub(crate) const ROOT_KEY: &str =
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

/// A started installation.
pub(crate) struct App {
    pub(crate) ctx: Context,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) created: Created,
    pub(crate) actor: Actor,
}

pub(crate) fn context(test: &TestDb, root_key: &str, node: u16) -> (Context, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(NOW));
    let base_url = BaseUrl::parse("https://localhost:8443").unwrap();
    let ctx = Context::new(
        test.db.clone(),
        clock.clone(),
        Arc::new(SystemRng),
        Arc::new(IdGenerator::new(node)),
        RootKey::parse(root_key).unwrap(),
        Installation {
            base_url,
            dev_mode: true,
        },
    );
    (ctx, clock)
}

/// Housekeeping with the defaults.
pub(crate) fn plan() -> UpkeepPlan {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    UpkeepPlan {
        holder: "node_1".to_owned(),
        session_idle: DAY / 2,
        events: Some(DAY * 90),
        calls: Some(DAY * 90),
        rotation: Some(DAY * 90),
    }
}

pub(crate) fn seed() -> FirstStart {
    FirstStart {
        workspace_name: "Acme".to_owned(),
        admin_email: "Ada@acme.test".to_owned(),
        admin_first_name: "Ada".to_owned(),
        admin_last_name: String::new(),
        default_environment: EnvironmentKind::Development,
    }
}

impl App {
    pub(crate) async fn started(test: &TestDb) -> Self {
        let (ctx, clock) = context(test, ROOT_KEY, 1);
        let created = start(&ctx, seed()).await.unwrap().unwrap();
        let actor = Actor {
            name: "skc_1".to_owned(),
            request_id: Some("req_1".to_owned()),
        };
        Self {
            ctx,
            clock,
            created,
            actor,
        }
    }

    pub(crate) fn env(&self) -> EnvironmentId {
        self.created.environment.id
    }

    pub(crate) async fn another_environment(&self, name: &str) -> Environment {
        let command = CreateEnvironment {
            display_name: name.to_owned(),
            kind: EnvironmentKind::Development,
            region: None,
            authentication_mode: AuthenticationMode::Modular,
        };
        environments::create(&self.ctx, self.created.workspace, &self.actor, command)
            .await
            .unwrap()
    }

    pub(crate) fn tick(&self) {
        self.clock.advance(Duration::from_millis(5));
    }

    /// Actions in the audit log of an environment, sorted.
    pub(crate) async fn audited(&self, env: EnvironmentId) -> Vec<String> {
        let end = Timestamp::from_micros(i64::MAX);
        let rows = audit_records::latest(&mut self.ctx.db.read(env), end, "~", 1_000)
            .await
            .unwrap();
        let mut actions: Vec<String> = rows.into_iter().map(|row| row.action).collect();
        actions.sort();
        actions
    }
}

pub(crate) fn page(size: u32, token: &str) -> PageRequest {
    PageRequest {
        size: PageSize::clamp(size, 30, 100),
        token: token.to_owned(),
    }
}
