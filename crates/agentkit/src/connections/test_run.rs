//! Tests of a connection (AK-116): what can be asked without a user is asked at once; then somebody
//! connects an account as a user would, and what becomes of the link is the result.

use crate::{
    AgentKit,
    accounts::AccountKey,
    error::Result,
    links::{CallbackError, NewLink},
};
use keystead_identity::Actor;
use keystead_store::{
    StoreError, Tx,
    entities::connection_tests::{self, ConnectionTest},
};
use keystead_types::{
    AuthRequestId, ConnectionId, EnvironmentId, Secret, TestRequestId, Timestamp,
};

/// How far a test is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TestStatus {
    /// Its link was not finished yet.
    Pending,
    /// The provider issued tokens, or the credential was stored.
    Success,
    /// See the run's error.
    Failure,
}

impl TestStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
        }
    }
}

/// A test of a connection.
#[derive(Clone, PartialEq, Debug)]
pub struct TestRun {
    /// Id.
    pub id: TestRequestId,
    /// How far it is.
    pub status: TestStatus,
    /// Code of a failure.
    pub error: String,
    /// What went wrong, never a secret.
    pub error_description: String,
    /// Start.
    pub started_at: Timestamp,
    /// End.
    pub finished_at: Option<Timestamp>,
}

/// A test that was begun.
#[derive(Debug)]
pub struct StartedTest {
    /// Id.
    pub id: TestRequestId,
    /// Absent when the test has failed already.
    pub link: Option<TestLink>,
}

/// Where a test goes on.
#[derive(Debug)]
pub struct TestLink {
    /// The link to open; whoever has it can authorize the test's account.
    pub url: Secret<String>,
    /// End of the link.
    pub expires_at: Timestamp,
}

impl TestRun {
    /// As it is at `now`: nothing is written when a link runs out unused.
    fn of(row: ConnectionTest, now: Timestamp) -> Self {
        let mut run = Self {
            id: row.id,
            status: match row.status.as_str() {
                "SUCCESS" => TestStatus::Success,
                "FAILURE" => TestStatus::Failure,
                _ => TestStatus::Pending,
            },
            error: row.error,
            error_description: row.error_description,
            started_at: row.created_at,
            finished_at: row.finished_at,
        };
        if run.status == TestStatus::Pending && row.expires_at.is_some_and(|end| end <= now) {
            run.status = TestStatus::Failure;
            "timed_out".clone_into(&mut run.error);
            "Nobody finished the authorization while its link was valid."
                .clone_into(&mut run.error_description);
            run.finished_at = row.expires_at;
        }
        run
    }
}

impl AgentKit {
    /// Begins a test: asks the endpoints, then makes a link for an account named `identifier`, and
    /// remembers what becomes of it.
    ///
    /// # Errors
    /// [`crate::Error::ConnectionNotFound`], and those of [`AgentKit::create_link`].
    pub async fn test_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        id: ConnectionId,
        identifier: String,
    ) -> Result<StartedTest> {
        let connection = self.connection(env, id).await?;
        let key = AccountKey {
            connector: Some(connection.key_id.clone()),
            identifier: Some(identifier),
            ..AccountKey::default()
        };
        let ctx = self.ctx();
        let mut row = ConnectionTest {
            id: ctx.ids.next(&*ctx.clock),
            connection_id: id,
            link_id: None,
            status: TestStatus::Pending.as_str().to_owned(),
            error: String::new(),
            error_description: String::new(),
            created_at: ctx.clock.now(),
            expires_at: None,
            finished_at: None,
        };
        let link = match self.probe(env, &connection).await? {
            Some(fault) => {
                TestStatus::Failure.as_str().clone_into(&mut row.status);
                fault.code.clone_into(&mut row.error);
                row.error_description = fault.text;
                row.finished_at = Some(ctx.clock.now());
                None
            }
            None => {
                let new = NewLink {
                    key,
                    ..NewLink::default()
                };
                let link = self.create_link(env, actor, new).await?;
                row.link_id = Some(link.id);
                row.expires_at = Some(link.expires_at);
                Some(TestLink {
                    url: link.url,
                    expires_at: link.expires_at,
                })
            }
        };
        let mut tx = ctx.db.begin(env).await?;
        connection_tests::insert(&mut tx, &row).await?;
        tx.commit().await?;
        Ok(StartedTest { id: row.id, link })
    }

    /// A test of a connection.
    pub async fn find_connection_test(
        &self,
        env: EnvironmentId,
        connection: ConnectionId,
        id: TestRequestId,
    ) -> Result<Option<TestRun>> {
        let mut read = self.ctx().db.read(env);
        let found = connection_tests::find(&mut read, connection, id).await?;
        Ok(found.map(|row| TestRun::of(row, self.ctx().clock.now())))
    }

    /// The newest test of a connection.
    pub(super) async fn last_connection_test(
        &self,
        env: EnvironmentId,
        connection: ConnectionId,
    ) -> Result<Option<TestRun>> {
        let mut read = self.ctx().db.read(env);
        let found = connection_tests::last(&mut read, connection).await?;
        Ok(found.map(|row| TestRun::of(row, self.ctx().clock.now())))
    }
}

/// The link was finished; nothing happens when it is not one of a test.
pub(crate) async fn passed(
    tx: &mut Tx,
    link: AuthRequestId,
    now: Timestamp,
) -> std::result::Result<(), StoreError> {
    let status = TestStatus::Success.as_str();
    connection_tests::finish(tx, link, status, "", "", now).await
}

/// A try to finish the link failed.
pub(crate) async fn failed(
    tx: &mut Tx,
    link: AuthRequestId,
    error: &CallbackError,
    now: Timestamp,
) -> std::result::Result<(), StoreError> {
    let code = match error {
        CallbackError::Denied(denial) => denial.code.as_str(),
        CallbackError::Exchange(_) => "token_exchange_failed",
        CallbackError::PostAuth(_) => "post_auth_failed",
        CallbackError::NoVerifyUrl => "no_verify_url",
        CallbackError::WrongIssuer => "wrong_issuer",
        CallbackError::Unreadable(_)
        | CallbackError::InvalidState
        | CallbackError::SessionExpired
        | CallbackError::Other(_) => "failed",
    };
    let status = TestStatus::Failure.as_str();
    connection_tests::finish(tx, link, status, code, &error.to_string(), now).await
}
