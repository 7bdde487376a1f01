//! Housekeeping of the whole installation: removes what no rule looks at any more, and changes
//! signing keys that are due.
//!
//! One node at a time does it, under a lease. Rows go in small batches, each in a transaction of its
//! own that renews the lease too, so that requests never wait long and a node that lost the lease
//! stops.

use crate::{Actor, Context, Rotation, RotationError, key_rotation::MIN_ROTATION_INTERVAL};
use keystead_store::{
    Read, StoreError, Tx, admin,
    entities::{
        agentkit, auth_links, connection_tests, environments, events, jobs,
        leases::{self, Lease},
        login_codes, sessions, sign_in_limits, signing_keys,
    },
};
use keystead_types::{EnvironmentId, Internal, Timestamp};
use std::time::Duration;

const NAME: &str = "upkeep";
/// A batch takes far less; a node that died is replaced after this.
const LEASE: Duration = Duration::from_secs(5 * 60);
/// Rows of one transaction.
const BATCH: u32 = 500;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Links and trips stay for a day after their end: a grant that waits for verification names its link.
const LINK_MEMORY: Duration = DAY;
/// Expired leases are kept for their version numbers.
const LEASE_MEMORY: Duration = DAY;
/// Dead jobs wait this long for an operator.
const DEAD_JOB_MEMORY: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What the operator decides about housekeeping.
#[derive(Clone, Debug)]
pub struct UpkeepPlan {
    /// Names this run of this process.
    pub holder: String,
    /// A dashboard session that was not used for this long is dead.
    pub session_idle: Duration,
    /// How long events and the history of accounts are kept (DB-250); `None` for ever.
    pub events: Option<Duration>,
    /// How long the log of calls and tests of connections are kept (DB-250); `None` for ever.
    pub calls: Option<Duration>,
    /// How long a signing key signs, at least [`MIN_ROTATION_INTERVAL`] (MC-313); `None` for ever.
    pub rotation: Option<Duration>,
}

/// What housekeeping did.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Upkeep {
    /// Rows that were removed.
    pub removed: u64,
    /// Environments whose signing keys were changed.
    pub rotated: u64,
}

/// Tables of which expired rows are removed.
#[derive(Clone, Copy, Debug)]
enum Expired {
    MemberSessions,
    PortalSessions,
    LoginCodes,
    SignInLimits,
    Links,
    Flows,
    Leases,
    DeadJobs,
    SigningKeys,
    Records(Records, EnvironmentId, Timestamp),
}

/// What the operator wants to keep for a while, in every environment.
#[derive(Clone, Copy, Debug)]
enum Records {
    Events,
    History,
    Calls,
    Tests,
}

impl Records {
    async fn any_before(self, from: &mut Read<'_>, before: Timestamp) -> Result<bool, StoreError> {
        match self {
            Self::Events => events::any_before(from, before).await,
            Self::History => agentkit::any_history_before(from, before).await,
            Self::Calls => agentkit::any_call_before(from, before).await,
            Self::Tests => connection_tests::any_before(from, before).await,
        }
    }

    async fn purge(self, tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
        match self {
            Self::Events => events::purge(tx, before, BATCH).await,
            Self::History => agentkit::purge_history(tx, before, BATCH).await,
            Self::Calls => agentkit::purge_calls(tx, before, BATCH).await,
            Self::Tests => connection_tests::purge(tx, before, BATCH).await,
        }
    }
}

const OF_INSTALLATION: [Expired; 9] = [
    Expired::MemberSessions,
    Expired::PortalSessions,
    Expired::LoginCodes,
    Expired::SignInLimits,
    Expired::Links,
    Expired::Flows,
    Expired::Leases,
    Expired::DeadJobs,
    Expired::SigningKeys,
];

/// Does everything that is due, unless another node is at it (`None`). `is_stopping` is asked
/// between batches.
///
/// # Errors
/// When the database fails; what was done until then stays done.
pub async fn run(
    ctx: &Context,
    plan: &UpkeepPlan,
    is_stopping: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Upkeep>, Internal> {
    let Some(lease) = acquire(ctx, &plan.holder).await? else {
        return Ok(None);
    };
    let work = Work {
        ctx,
        plan,
        lease: &lease,
        is_stopping,
    };
    let done = work.everything().await;
    release(ctx, &lease).await?;
    done.map(Some)
}

async fn acquire(ctx: &Context, holder: &str) -> Result<Option<Lease>, Internal> {
    let now = ctx.clock.now();
    let mut tx = ctx.db.begin_admin().await.map_err(Internal::new)?;
    let lease = leases::acquire(&mut tx, NAME, holder, now, now.plus(LEASE))
        .await
        .map_err(Internal::new)?;
    tx.commit().await.map_err(Internal::new)?;
    Ok(lease)
}

async fn release(ctx: &Context, lease: &Lease) -> Result<(), Internal> {
    let mut tx = ctx.db.begin_admin().await.map_err(Internal::new)?;
    leases::release(&mut tx, lease, ctx.clock.now())
        .await
        .map_err(Internal::new)?;
    tx.commit().await.map_err(Internal::new)
}

struct Work<'a> {
    ctx: &'a Context,
    plan: &'a UpkeepPlan,
    lease: &'a Lease,
    is_stopping: &'a (dyn Fn() -> bool + Sync),
}

impl Work<'_> {
    async fn everything(&self) -> Result<Upkeep, Internal> {
        let mut removed = 0;
        for what in OF_INSTALLATION {
            removed += self.all_of(what).await?;
        }
        removed += self.of_environments().await?;
        let rotated = match self.plan.rotation {
            Some(every) => self.rotate(every.max(MIN_ROTATION_INTERVAL)).await?,
            None => 0,
        };
        Ok(Upkeep { removed, rotated })
    }

    async fn of_environments(&self) -> Result<u64, Internal> {
        let now = self.ctx.clock.now();
        let (events, calls) = (self.plan.events, self.plan.calls);
        let kept = [
            (Records::Events, events),
            (Records::History, events),
            (Records::Calls, calls),
            (Records::Tests, calls),
        ];
        let (mut removed, mut after) = (0, String::new());
        loop {
            let mut reader = self.ctx.db.read_admin();
            let ids = environments::after(&mut reader, &after, BATCH)
                .await
                .map_err(Internal::new)?;
            let Some(last) = ids.last() else {
                return Ok(removed);
            };
            after = last.to_string();
            for env in ids {
                // Most environments have nothing old: asked before a transaction is begun.
                let mut reader = self.ctx.db.read(env);
                for (records, kept) in kept {
                    let Some(before) = kept.map(|kept| now.minus(kept)) else {
                        continue;
                    };
                    let any = records.any_before(&mut reader, before).await;
                    if any.map_err(Internal::new)? {
                        removed += self.all_of(Expired::Records(records, env, before)).await?;
                    }
                }
            }
        }
    }

    /// Removes batch after batch until there is nothing left, the lease is lost or it is time to
    /// stop.
    async fn all_of(&self, what: Expired) -> Result<u64, Internal> {
        let mut removed = 0;
        while !(self.is_stopping)() {
            let now = self.ctx.clock.now();
            let mut tx = self.ctx.db.begin_admin().await.map_err(Internal::new)?;
            let is_ours = leases::renew(&mut tx, self.lease, now, now.plus(LEASE))
                .await
                .map_err(Internal::new)?;
            if !is_ours {
                break;
            }
            let batch = self.batch(&mut tx, what, now).await?;
            tx.commit().await.map_err(Internal::new)?;
            removed += batch;
            if batch < u64::from(BATCH) {
                break;
            }
        }
        Ok(removed)
    }

    async fn batch(
        &self,
        tx: &mut admin::Tx,
        what: Expired,
        now: Timestamp,
    ) -> Result<u64, Internal> {
        let removed = match what {
            Expired::MemberSessions => {
                let idle_since = now.minus(self.plan.session_idle);
                sessions::purge_members(tx, now, idle_since, BATCH).await
            }
            Expired::PortalSessions => sessions::purge_portal(tx, now, BATCH).await,
            Expired::LoginCodes => login_codes::purge(tx, now, BATCH).await,
            Expired::SignInLimits => sign_in_limits::purge(tx, now, BATCH).await,
            Expired::Links => auth_links::purge_links(tx, now.minus(LINK_MEMORY), BATCH).await,
            Expired::Flows => auth_links::purge_flows(tx, now.minus(LINK_MEMORY), BATCH).await,
            Expired::Leases => leases::purge(tx, now.minus(LEASE_MEMORY), BATCH).await,
            Expired::DeadJobs => jobs::purge_dead(tx, now.minus(DEAD_JOB_MEMORY), BATCH).await,
            Expired::SigningKeys => signing_keys::remove_retired(tx, now, BATCH).await,
            Expired::Records(records, env, before) => {
                records.purge(tx.in_environment(env), before).await
            }
        };
        removed.map_err(Internal::new)
    }

    /// Changes the signing keys of every environment whose key has been signing for `every`.
    async fn rotate(&self, every: Duration) -> Result<u64, Internal> {
        let (mut rotated, mut after) = (0, String::new());
        loop {
            let before = self.ctx.clock.now().minus(every);
            let mut reader = self.ctx.db.read_admin();
            let due = signing_keys::due(&mut reader, before, &after, BATCH)
                .await
                .map_err(Internal::new)?;
            let Some(last) = due.last() else {
                return Ok(rotated);
            };
            after = last.to_string();
            for env in due {
                if (self.is_stopping)() {
                    return Ok(rotated);
                }
                let outcome = self
                    .ctx
                    .rotate_signing_keys(env, &Actor::system(), Rotation::Orderly)
                    .await;
                match outcome {
                    Ok(kid) => {
                        rotated += 1;
                        tracing::info!(environment = %env, %kid, "signing keys rotated");
                    }
                    Err(RotationError::Internal(error)) => {
                        // The others must not wait for a broken one.
                        tracing::error!(environment = %env, %error, "signing keys not rotated");
                    }
                    Err(later) => {
                        tracing::info!(environment = %env, reason = %later, "signing keys not rotated");
                    }
                }
            }
        }
    }
}
