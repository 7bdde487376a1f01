//! The log of calls: written in batches, off the path of the call (AK-459, AK-217).

use crate::{AgentKit, error::Result};
use keystead_store::entities::{
    agentkit::{self, ToolCall},
    connected_accounts,
};
use keystead_types::{EnvironmentId, Timestamp};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::mpsc;

/// Rows that may wait; more are dropped and counted, since a call must not wait for its log.
const QUEUE: usize = 16_384;
/// Rows of one transaction.
const BATCH: usize = 512;

/// Finished calls on their way to the database.
pub(crate) struct CallLog {
    sender: mpsc::Sender<(EnvironmentId, ToolCall)>,
    receiver: Mutex<Option<mpsc::Receiver<(EnvironmentId, ToolCall)>>>,
    dropped: AtomicU64,
}

impl Default for CallLog {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
            dropped: AtomicU64::new(0),
        }
    }
}

/// A busy account is written once a minute (AK-217).
fn to_the_minute(at: Timestamp) -> Timestamp {
    Timestamp::from_secs(at.as_secs().div_euclid(60) * 60)
}

impl CallLog {
    pub(crate) fn add(&self, env: EnvironmentId, call: ToolCall) {
        if self.sender.try_send((env, call)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl AgentKit {
    /// Writes the log of calls until `stop` resolves, then what is left. Runs once per process.
    pub async fn write_calls(&self, stop: impl Future<Output = ()>) {
        let receiver = self
            .calls()
            .receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut receiver) = receiver else { return };
        tokio::pin!(stop);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                read = receiver.recv_many(&mut batch, BATCH) => {
                    if read == 0 {
                        return;
                    }
                    self.write_batch(&mut batch).await;
                }
                () = &mut stop => {
                    receiver.close();
                    while receiver.recv_many(&mut batch, BATCH).await > 0 {
                        self.write_batch(&mut batch).await;
                    }
                    return;
                }
            }
        }
    }

    /// Rows that were dropped because the database could not keep up.
    pub fn dropped_calls(&self) -> u64 {
        self.calls().dropped.load(Ordering::Relaxed)
    }

    async fn write_batch(&self, batch: &mut Vec<(EnvironmentId, ToolCall)>) {
        let mut by_environment: BTreeMap<EnvironmentId, Vec<ToolCall>> = BTreeMap::new();
        for (env, call) in batch.drain(..) {
            by_environment.entry(env).or_default().push(call);
        }
        for (env, calls) in by_environment {
            let count = calls.len() as u64;
            if let Err(error) = self.write_of(env, calls).await {
                self.calls().dropped.fetch_add(count, Ordering::Relaxed);
                tracing::warn!(%error, count, "calls could not be logged");
            }
        }
    }

    async fn write_of(&self, env: EnvironmentId, calls: Vec<ToolCall>) -> Result<()> {
        let mut tx = self.ctx().db.begin(env).await?;
        let mut used = BTreeMap::new();
        for call in &calls {
            agentkit::insert_call(&mut tx, call).await?;
            used.insert(call.account_id, call.started_at);
        }
        for (account, at) in used {
            connected_accounts::touch(&mut tx, account, to_the_minute(at)).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
