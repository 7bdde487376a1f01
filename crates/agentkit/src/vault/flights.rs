//! One refresh per account within this process; the others wait for it.

use keystead_types::ConnectedAccountId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Locks by account; a lock lives as long as somebody holds or awaits it.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<ConnectedAccountId, Weak<AsyncMutex<()>>>>);

impl Flights {
    /// Waits until nobody else of this process works on the account.
    pub(crate) async fn enter(&self, account: ConnectedAccountId) -> OwnedMutexGuard<()> {
        let lock = self.lock_of(account);
        lock.lock_owned().await
    }

    fn lock_of(&self, account: ConnectedAccountId) -> Arc<AsyncMutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(&account).and_then(Weak::upgrade) {
            return lock;
        }
        if locks.len() > 1024 {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(AsyncMutex::new(()));
        locks.insert(account, Arc::downgrade(&lock));
        lock
    }
}
