//! The only connection that writes to a SQLite file, and group commit.
//!
//! A task owns the connection and lends it to one transaction after the other. Each transaction is
//! a savepoint inside an outer transaction; it is acknowledged only after the outer COMMIT, which
//! happens as soon as nobody waits for the connection, or when the group is full or old enough. So
//! many small transactions share one `fsync`, and none is acknowledged before it is durable.
//!
//! The connection comes back over a channel even when a transaction is dropped, and everything
//! between two transactions happens in this task, which no caller can cancel.

use super::{Conn, sqlite::ACQUIRE_TIMEOUT};
use crate::{StoreError, WriteCounters, db::GroupLimits};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// A transaction that is open longer than this stops everybody else: it is reported.
const TOO_LONG: Duration = Duration::from_secs(1);

pub(crate) struct Writer {
    requests: mpsc::UnboundedSender<Request>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    transactions: AtomicU64,
    commits: AtomicU64,
    waiting: AtomicU64,
}

/// Counts a caller from asking for the connection to getting it or giving up.
struct Waiting<'c>(&'c AtomicU64);

impl<'c> Waiting<'c> {
    fn start(counter: &'c AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

enum Request {
    /// Lends the connection inside a savepoint.
    Begin(oneshot::Sender<Result<Lease, StoreError>>),
    /// Lends the connection outside of any transaction (migration, restore, checkpoint).
    Exclusive(oneshot::Sender<Result<Lease, StoreError>>),
    /// Commits what is open and closes the connection.
    Close(oneshot::Sender<()>),
}

/// The connection, on loan. Dropping it rolls back.
pub(crate) struct Lease {
    /// `None` only between taking it out to give it back and the end of `drop`.
    connection: Option<SqliteConnection>,
    home: Option<oneshot::Sender<Returned>>,
}

struct Returned {
    connection: Option<SqliteConnection>,
    /// Whom to tell when the transaction is durable; `None` rolls it back.
    commit: Option<oneshot::Sender<Result<(), StoreError>>>,
}

impl Lease {
    pub(crate) const fn connection(&mut self) -> Option<&mut SqliteConnection> {
        self.connection.as_mut()
    }

    /// Gives the connection back and waits until the transaction is on the disk.
    ///
    /// Dropping the future does not stop the commit.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        let (told, done) = oneshot::channel();
        self.give_back(Some(told));
        done.await.unwrap_or_else(|_| Err(lost()))
    }

    fn give_back(&mut self, commit: Option<oneshot::Sender<Result<(), StoreError>>>) {
        if let Some(home) = self.home.take() {
            let connection = self.connection.take();
            // Nobody at home means the task was stopped with its runtime: the connection closes,
            // and SQLite rolls back.
            drop(home.send(Returned { connection, commit }));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back(None);
    }
}

impl Writer {
    pub(crate) fn start(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        limits: GroupLimits,
    ) -> Self {
        let (requests, queue) = mpsc::unbounded_channel();
        let counters = Arc::new(Counters::default());
        let task = Task {
            connection: Some(connection),
            options,
            limits,
            group: Vec::new(),
            opened: None,
            unreleased: false,
            counters: Arc::clone(&counters),
        };
        tokio::spawn(task.run(queue));
        Self { requests, counters }
    }

    pub(crate) async fn begin(&self) -> Result<Lease, StoreError> {
        self.borrow(Request::Begin).await
    }

    pub(crate) async fn exclusive(&self) -> Result<Lease, StoreError> {
        self.borrow(Request::Exclusive).await
    }

    pub(crate) async fn close(&self) {
        let (told, done) = oneshot::channel();
        if self.requests.send(Request::Close(told)).is_ok() {
            drop(done.await);
        }
    }

    pub(crate) fn counters(&self) -> WriteCounters {
        WriteCounters {
            transactions: self.counters.transactions.load(Ordering::Relaxed),
            commits: self.counters.commits.load(Ordering::Relaxed),
            waiting: self.counters.waiting.load(Ordering::Relaxed),
        }
    }

    async fn borrow(
        &self,
        kind: impl FnOnce(oneshot::Sender<Result<Lease, StoreError>>) -> Request,
    ) -> Result<Lease, StoreError> {
        let (reply, lease) = oneshot::channel();
        let _waiting = Waiting::start(&self.counters.waiting);
        self.requests.send(kind(reply)).map_err(|_| closed())?;
        match tokio::time::timeout(ACQUIRE_TIMEOUT, lease).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(closed())),
            Err(_) => Err(StoreError::Busy {
                statement: "begin",
                code: "writer occupied".to_owned(),
            }),
        }
    }
}

struct Task {
    /// `None` after a failure, until it could be opened again.
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
    limits: GroupLimits,
    /// Savepoints that wait for the outer commit.
    group: Vec<oneshot::Sender<Result<(), StoreError>>>,
    /// When the outer transaction began; `None` when there is none.
    opened: Option<Instant>,
    /// The savepoint of the last member of the group is still there.
    unreleased: bool,
    counters: Arc<Counters>,
}

impl Task {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Request>) {
        loop {
            let request = match queue.try_recv() {
                Ok(request) => Some(request),
                Err(_) => {
                    self.finish().await;
                    queue.recv().await
                }
            };
            match request {
                Some(Request::Begin(reply)) => self.transaction(reply).await,
                Some(Request::Exclusive(reply)) => self.exclusive(reply).await,
                Some(Request::Close(told)) => {
                    queue.close();
                    self.close().await;
                    let _gone = told.send(());
                    return;
                }
                None => return self.close().await,
            }
        }
    }

    async fn transaction(&mut self, reply: oneshot::Sender<Result<Lease, StoreError>>) {
        if reply.is_closed() {
            return; // the caller gave up while waiting
        }
        if let Err(error) = self.open_savepoint().await {
            self.abandon(&error).await;
            drop(reply.send(Err(error)));
            return;
        }
        match self.lend(reply).await {
            // The savepoint is released together with the next step, which saves a round trip.
            Some(told) => {
                self.unreleased = true;
                self.group.push(told);
            }
            // SQLite undoes the whole outer transaction by itself when the disk is full or fails;
            // then the savepoint is unknown here, and the whole group is told.
            None => {
                if let Err(error) = self.script("ROLLBACK TO tx; RELEASE tx").await {
                    self.abandon(&error).await;
                }
            }
        }
        let old = self
            .opened
            .is_some_and(|opened| opened.elapsed() >= self.limits.delay);
        if old || self.group.len() >= self.limits.size {
            self.finish().await;
        }
    }

    async fn open_savepoint(&mut self) -> Result<(), StoreError> {
        let script = match (self.opened, self.unreleased) {
            (None, _) => "BEGIN IMMEDIATE; SAVEPOINT tx",
            (Some(_), true) => "RELEASE tx; SAVEPOINT tx",
            (Some(_), false) => "SAVEPOINT tx",
        };
        self.opened.get_or_insert_with(Instant::now);
        self.unreleased = false;
        self.script(script).await
    }

    async fn exclusive(&mut self, reply: oneshot::Sender<Result<Lease, StoreError>>) {
        self.finish().await;
        if let Some(told) = self.lend(reply).await {
            drop(told.send(Ok(())));
        } else {
            // A borrower that stopped half-way may have left a transaction open; a failure of this
            // only means that there was none.
            drop(self.script("ROLLBACK").await);
        }
    }

    /// Hands the connection out and waits for it. Returns whom to tell when the borrower commits.
    async fn lend(
        &mut self,
        reply: oneshot::Sender<Result<Lease, StoreError>>,
    ) -> Option<oneshot::Sender<Result<(), StoreError>>> {
        let (home, mut back) = oneshot::channel();
        let lease = Lease {
            connection: self.connection.take(),
            home: Some(home),
        };
        // When the caller is gone the lease drops right here and comes back as a roll-back.
        drop(reply.send(Ok(lease)));
        let returned = loop {
            match tokio::time::timeout(TOO_LONG, &mut back).await {
                Ok(returned) => break returned.ok(),
                Err(_) => tracing::warn!("a write transaction keeps all others waiting"),
            }
        };
        let Returned { connection, commit } = returned?;
        self.connection = connection;
        commit
    }

    /// Makes the group durable and tells its members.
    async fn finish(&mut self) {
        if self.opened.is_none() {
            return;
        }
        self.unreleased = false;
        if self.group.is_empty() {
            // Everything in it was rolled back.
            if let Err(error) = self.script("ROLLBACK").await {
                self.abandon(&error).await;
            }
            self.opened = None;
            return;
        }
        match self.script("COMMIT").await {
            Ok(()) => {
                self.opened = None;
                self.counters.commits.fetch_add(1, Ordering::Relaxed);
                let members = u64::try_from(self.group.len()).unwrap_or(0);
                self.counters
                    .transactions
                    .fetch_add(members, Ordering::Relaxed);
                for told in self.group.drain(..) {
                    drop(told.send(Ok(())));
                }
            }
            Err(error) => self.abandon(&error).await,
        }
    }

    /// Tells the group that nothing of it is stored and starts over with a new connection, because
    /// the state of the old one is not known.
    async fn abandon(&mut self, error: &StoreError) {
        tracing::error!(%error, lost = self.group.len(), "a group of write transactions was rolled back");
        if let Some(connection) = self.connection.take() {
            drop(connection.close().await);
        }
        self.opened = None;
        for told in self.group.drain(..) {
            drop(told.send(Err(not_committed(error))));
        }
    }

    async fn script(&mut self, text: &str) -> Result<(), StoreError> {
        if self.connection.is_none() {
            let opened = self.options.connect().await;
            self.connection = Some(opened.map_err(|error| super::sqlite::unavailable(&error))?);
        }
        let Some(connection) = &mut self.connection else {
            return Err(lost());
        };
        Conn::Sqlite(connection)
            .run_script(text.to_owned(), "transaction")
            .await
    }

    async fn close(mut self) {
        self.finish().await;
        if let Some(connection) = self.connection.take() {
            drop(connection.close().await);
        }
    }
}

fn not_committed(error: &StoreError) -> StoreError {
    StoreError::NotCommitted {
        message: error.to_string(),
    }
}

fn lost() -> StoreError {
    StoreError::NotCommitted {
        message: "the connection was lost".to_owned(),
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable {
        statement: "begin",
        message: "the database is closed".to_owned(),
    }
}
