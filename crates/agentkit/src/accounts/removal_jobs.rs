//! Removing all accounts of an organization or a connection (DR-010, AK-121).
//!
//! Each account ends like one that is deleted alone: with its event, its audit record and a
//! revocation at the provider. That can be thousands of transactions, so it is a job; a crash leaves
//! the job to the next process, which goes on where the accounts end.

use crate::{AgentKit, Error, error::Result, jobs::unreadable, record};
use keystead_identity::Actor;
use keystead_store::{
    Query, Tx,
    account_removal::{self, Owner},
    connected_accounts,
    jobs::{self, Job, NewJob},
};
use keystead_types::{ConnectionId, EnvironmentId, Internal, OrganizationId};
use serde_json::json;

/// Stable name in stored jobs.
const KIND: &str = "connected_accounts.remove";
/// After this many tries, some hours later, an operator has to look.
const MAX_ATTEMPTS: u32 = 20;
/// Accounts between two looks at the lease.
const BATCH: u32 = 32;

/// Accounts that were promised to go. Handed to [`AgentKit::start_removal`] after the commit.
#[derive(Clone, Debug)]
#[must_use = "the removal starts late when nobody is told of it"]
pub struct Removal {
    env: EnvironmentId,
    owner: Owner,
    actor: Actor,
}

impl Removal {
    pub(crate) fn of_job(job: &Job) -> Result<Self> {
        let text = |name: &str| job.payload.get(name).and_then(|value| value.as_str());
        let organization = text("organization").and_then(|id| id.parse().ok());
        let connection = text("connection").and_then(|id| id.parse().ok());
        let owner = match (organization, connection) {
            (Some(id), None) => Owner::Organization(id),
            (None, Some(id)) => Owner::Connection(id),
            _ => return Err(unreadable(job).into()),
        };
        match (job.kind.as_str(), job.environment) {
            (KIND, Some(env)) => Ok(Self {
                env,
                owner,
                actor: Actor {
                    name: text("actor").unwrap_or_default().to_owned(),
                    request_id: text("request").map(str::to_owned),
                },
            }),
            _ => Err(unreadable(job).into()),
        }
    }
}

impl AgentKit {
    /// Cuts off the accounts of an organization that is deleted in `tx`, and queues their removal
    /// (DR-010). The credentials go with the accounts: they are needed to revoke the grants.
    ///
    /// Comes before whatever writes audit records in `tx`: accounts are locked before the audit lane.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_accounts_of(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        organization: OrganizationId,
    ) -> Result<Removal> {
        let reason = "the organization was deleted";
        let now = self.ctx().clock.now();
        // SECURITY: nothing acts for a deleted organization, not even until the job ran, and nothing
        // makes its accounts live again until then.
        let found = account_removal::cut_off(tx, organization, reason, now).await?;
        let removal = Removal {
            env: tx.env(),
            owner: Owner::Organization(organization),
            actor: actor.clone(),
        };
        if found > 0 {
            self.queue(tx, &removal).await?;
        }
        Ok(removal)
    }

    /// Deletes a connection with all its accounts. It is switched off at once; the rest is done in
    /// the background (AK-121).
    ///
    /// # Errors
    /// [`Error::ConnectionNotFound`].
    pub async fn force_delete_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        id: ConnectionId,
    ) -> Result<()> {
        match self.delete_connection(env, actor, id).await {
            Err(Error::ConnectionInUse(_)) => {}
            done => return done,
        }
        let removal = Removal {
            env,
            owner: Owner::Connection(id),
            actor: actor.clone(),
        };
        // SECURITY: switched off first, so that none is used, or connected through a link, while they
        // go. One that the API makes meanwhile goes too.
        self.disable_connection(env, actor, id).await?;
        let mut tx = self.ctx().db.begin(env).await?;
        self.queue(&mut tx, &removal).await?;
        let target = id.to_string();
        let action = "connection.force_deleted";
        record::audit(&mut tx, self.ctx(), actor, action, &target).await?;
        tx.commit().await?;
        self.start_removal(&removal);
        Ok(())
    }

    /// Makes this process forget what is removed, and start removing it.
    pub fn start_removal(&self, removal: &Removal) {
        self.forget_all(removal.env);
        self.work().notify_one();
    }

    async fn queue(&self, tx: &mut Tx, removal: &Removal) -> Result<()> {
        let (name, id) = match removal.owner {
            Owner::Organization(id) => ("organization", id.to_string()),
            Owner::Connection(id) => ("connection", id.to_string()),
        };
        let now = self.ctx().clock.now();
        let actor = &removal.actor;
        let payload = json!({ name: id, "actor": actor.name, "request": actor.request_id });
        let job = NewJob {
            id: self.ctx().ids.next(&*self.ctx().clock),
            kind: KIND,
            payload: &payload,
            unique_key: Some(&id),
            run_at: now,
            max_attempts: MAX_ATTEMPTS,
            created_at: now,
        };
        jobs::enqueue(tx, &job).await?;
        Ok(())
    }

    /// Removes what a job promised. An account that cannot be read does not keep the others.
    pub(crate) async fn remove(&self, removal: &Removal, job: &Job) -> Result<()> {
        let (mut after, mut trouble) = (None, None);
        loop {
            let read = &mut self.ctx().db.read(removal.env);
            let ids = account_removal::accounts(read, removal.owner, after, BATCH).await?;
            let Some(last) = ids.last() else { break };
            after = Some(*last);
            for id in ids {
                self.revocations_caught_up().await;
                match self.remove_account(removal, id).await {
                    Ok(()) | Err(Error::AccountNotFound) => {}
                    Err(error) => trouble = Some(error),
                }
            }
            if !self.keep(job).await? {
                return Err(Internal::new("another process took the job over").into());
            }
        }
        if let Some(error) = trouble {
            return Err(error);
        }
        let Owner::Connection(id) = removal.owner else {
            return Ok(());
        };
        match self
            .delete_connection(removal.env, &removal.actor, id)
            .await
        {
            Err(Error::ConnectionNotFound(_)) => Ok(()),
            done => done,
        }
    }

    async fn remove_account(
        &self,
        removal: &Removal,
        id: keystead_types::ConnectedAccountId,
    ) -> Result<()> {
        let row = connected_accounts::find(&mut self.ctx().db.read(removal.env), id).await?;
        let row = row.ok_or(Error::AccountNotFound)?;
        self.delete_row(removal.env, &removal.actor, row).await
    }
}
