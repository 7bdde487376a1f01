//! What is remembered of accounts between calls, so that a warm call reads no row.
//!
//! Every change made by this process forgets the account at once. On PostgreSQL other nodes may
//! change it too, so nothing is believed for longer than a second.

use crate::accounts::{AccountKey, AccountStatus, Grounds};
use keystead_identity::Context;
use keystead_store::Engine;
use keystead_types::{ConnectedAccountId, EnvironmentId};
use moka::sync::Cache;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

type AccountAt = (EnvironmentId, ConnectedAccountId);
type AddressAt = (EnvironmentId, AccountKey);

/// Remembered accounts and the keys that lead to them.
pub(crate) struct Snapshots {
    accounts: Cache<AccountAt, Arc<Grounds>>,
    addresses: Cache<AddressAt, ConnectedAccountId>,
    /// The switch of environments for direct calls of built-in connectors.
    direct_calls: Cache<EnvironmentId, bool>,
    /// Grows with every change, so that what was read before one is not kept after it.
    changes: AtomicU64,
}

/// The moment before something was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moment(u64);

impl Snapshots {
    pub(crate) fn new(ctx: &Context) -> Self {
        let believed = match ctx.db.engine() {
            Engine::Sqlite => Duration::from_secs(60),
            Engine::Postgres => Duration::from_secs(1),
        };
        Self {
            accounts: Cache::builder()
                .max_capacity(10_000)
                .time_to_live(believed)
                .build(),
            addresses: Cache::builder()
                .max_capacity(20_000)
                .time_to_live(believed)
                .support_invalidation_closures()
                .build(),
            direct_calls: Cache::builder()
                .max_capacity(10_000)
                .time_to_live(believed)
                .build(),
            changes: AtomicU64::new(0),
        }
    }

    /// To be taken before reading what is to be remembered.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.changes.load(Ordering::SeqCst))
    }

    pub(crate) fn find(&self, env: EnvironmentId, key: &AccountKey) -> Option<Arc<Grounds>> {
        let id = self.addresses.get(&(env, key.clone()))?;
        self.account(env, id)
    }

    /// What is remembered of an active account. A refusal is never made from memory: the user may
    /// have authorized again through another node.
    pub(crate) fn account(
        &self,
        env: EnvironmentId,
        id: ConnectedAccountId,
    ) -> Option<Arc<Grounds>> {
        let grounds = self.accounts.get(&(env, id))?;
        (grounds.account.status == AccountStatus::Active).then_some(grounds)
    }

    /// Remembers what was read since `moment`, unless something changed meanwhile.
    pub(crate) fn put(&self, moment: Moment, grounds: &Arc<Grounds>) {
        let at = (grounds.environment, grounds.account.id);
        self.accounts.insert(at, Arc::clone(grounds));
        // A change bumps the count before it forgets, so one of the two sees the other.
        if self.moment() != moment {
            self.accounts.invalidate(&at);
        }
    }

    /// As [`Self::put`], with the key that led to the account.
    pub(crate) fn remember(&self, moment: Moment, key: AccountKey, grounds: &Arc<Grounds>) {
        let address = (grounds.environment, key);
        self.addresses.insert(address.clone(), grounds.account.id);
        self.put(moment, grounds);
        if self.moment() != moment {
            self.addresses.invalidate(&address);
        }
    }

    /// After a change of one account.
    pub(crate) fn forget(&self, env: EnvironmentId, account: ConnectedAccountId) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.accounts.invalidate(&(env, account));
    }

    /// After an account of the identifier came or went: keys may lead elsewhere now.
    pub(crate) fn forget_address(&self, env: EnvironmentId, identifier: &str) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        let identifier = identifier.to_owned();
        let refused = self
            .addresses
            .invalidate_entries_if(move |(known, key), _| {
                *known == env
                    && key
                        .identifier
                        .as_deref()
                        .is_none_or(|known| known == identifier)
            });
        if refused.is_err() {
            self.addresses.invalidate_all();
        }
    }

    /// After a change that may touch many accounts.
    pub(crate) fn forget_environment(&self, _env: EnvironmentId) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.addresses.invalidate_all();
        self.accounts.invalidate_all();
        self.direct_calls.invalidate_all();
    }

    pub(crate) fn direct_calls(&self, env: EnvironmentId) -> Option<bool> {
        self.direct_calls.get(&env)
    }

    /// Remembers what was read since `moment`, unless something changed meanwhile.
    pub(crate) fn put_direct_calls(&self, moment: Moment, env: EnvironmentId, on: bool) {
        self.direct_calls.insert(env, on);
        if self.moment() != moment {
            self.direct_calls.invalidate(&env);
        }
    }
}
