//! The log of calls: written in batches, off the path of the call (AK-459, AK-217).

use crate::{AgentKit, error::Result};
use keystead_store::entities::{
    agentkit::{self, ToolCall},
    connected_accounts,
};
use keystead_types::{ConnectedAccountId, EnvironmentId, Timestamp};
use std::{
    collections::{BTreeMap, HashSet},
    pin::Pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;

/// Rows that may wait; more are dropped and counted, since a call must not wait for its log.
const QUEUE: usize = 32_768;
/// Rows of one transaction.
const BATCH: usize = 4096;
/// How long a row waits for others: rows of one account that are written together share the pages
/// of its index.
const GATHER: Duration = Duration::from_millis(400);

type Row = (EnvironmentId, ToolCall);

/// Finished calls on their way to the database.
pub(crate) struct CallLog {
    sender: mpsc::Sender<Row>,
    receiver: Mutex<Option<mpsc::Receiver<Row>>>,
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
        let mut used = LastUses::default();
        let mut stopping = false;
        while !stopping {
            tokio::select! {
                read = receiver.recv_many(&mut batch, BATCH) => {
                    if read == 0 {
                        return;
                    }
                    stopping = gather(&mut receiver, &mut batch, stop.as_mut()).await;
                }
                () = &mut stop => stopping = true,
            }
            self.write_batch(&mut batch, &mut used).await;
        }
        receiver.close();
        while receiver.recv_many(&mut batch, BATCH).await > 0 {
            self.write_batch(&mut batch, &mut used).await;
        }
    }

    /// Rows that were dropped because the database could not keep up.
    pub fn dropped_calls(&self) -> u64 {
        self.calls().dropped.load(Ordering::Relaxed)
    }

    async fn write_batch(&self, batch: &mut Vec<Row>, used: &mut LastUses) {
        let mut by_environment: BTreeMap<EnvironmentId, Vec<ToolCall>> = BTreeMap::new();
        for (env, call) in batch.drain(..) {
            by_environment.entry(env).or_default().push(call);
        }
        for (env, calls) in by_environment {
            let count = calls.len() as u64;
            if let Err(error) = self.write_of(env, calls, used).await {
                // What was to be stored with these rows is not known to be stored.
                *used = LastUses::default();
                self.calls().dropped.fetch_add(count, Ordering::Relaxed);
                tracing::warn!(%error, count, "calls could not be logged");
            }
        }
    }

    async fn write_of(
        &self,
        env: EnvironmentId,
        calls: Vec<ToolCall>,
        used: &mut LastUses,
    ) -> Result<()> {
        let mut tx = self.ctx().db.begin(env).await?;
        agentkit::insert_calls(&mut tx, &calls).await?;
        for (minute, accounts) in used.new_in(env, &calls) {
            connected_accounts::touch(&mut tx, &accounts, minute).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Waits for more rows until the batch is full or its time is over; `true` when `stop` came first.
async fn gather(
    receiver: &mut mpsc::Receiver<Row>,
    batch: &mut Vec<Row>,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> bool {
    let over = tokio::time::sleep(GATHER);
    tokio::pin!(over);
    while batch.len() < BATCH {
        let room = BATCH - batch.len();
        tokio::select! {
            read = receiver.recv_many(batch, room) => if read == 0 { return false },
            () = &mut over => return false,
            () = &mut stop => return true,
        }
    }
    false
}

/// The accounts whose use in the current minute is stored already.
#[derive(Default)]
struct LastUses {
    minute: Option<Timestamp>,
    stored: HashSet<(EnvironmentId, ConnectedAccountId)>,
}

impl LastUses {
    /// Accounts of the calls whose use is not stored yet, by minute.
    fn new_in(
        &mut self,
        env: EnvironmentId,
        calls: &[ToolCall],
    ) -> BTreeMap<Timestamp, Vec<ConnectedAccountId>> {
        let mut new: BTreeMap<Timestamp, Vec<ConnectedAccountId>> = BTreeMap::new();
        for call in calls {
            let minute = to_the_minute(call.started_at);
            if self.minute.is_none_or(|known| known < minute) {
                self.minute = Some(minute);
                self.stored.clear();
            }
            if self.stored.insert((env, call.account_id)) {
                new.entry(minute).or_default().push(call.account_id);
            }
        }
        new
    }
}
