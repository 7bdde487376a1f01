use super::{Mail, MailError, Mailer};
use futures_util::future::BoxFuture;
use keystead_types::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::io::AsyncWriteExt;

/// Messages kept; older ones are dropped.
const KEPT: usize = 200;

/// Keeps the last 200 messages instead of sending them: the mailbox of `dev` and of tests.
#[derive(Clone, Debug)]
pub struct Mailbox {
    clock: Arc<dyn Clock>,
    directory: Option<PathBuf>,
    messages: Arc<Mutex<VecDeque<Received>>>,
}

/// A message in the mailbox.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Received {
    /// Number of the message, ascending from 1.
    pub id: u64,
    /// Arrival, in microseconds since the epoch.
    pub at_micros: i64,
    /// The message.
    #[serde(flatten)]
    pub mail: Mail,
}

impl Received {
    /// Arrival.
    pub const fn at(&self) -> Timestamp {
        Timestamp::from_micros(self.at_micros)
    }
}

impl Mailbox {
    /// A mailbox in memory only.
    pub fn in_memory(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            directory: None,
            messages: Arc::default(),
        }
    }

    /// A mailbox that survives restarts: one JSON file per message in `directory`, which is made if
    /// needed. Files that are not messages are left alone.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn open(clock: Arc<dyn Clock>, directory: PathBuf) -> io::Result<Self> {
        create_private(&directory)?;
        let mut messages = Vec::new();
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let parsed = fs::read(&path)
                .ok()
                .and_then(|text| serde_json::from_slice::<Received>(&text).ok());
            messages.extend(parsed.filter(|message| path == file(&directory, message.id)));
        }
        messages.sort_unstable_by_key(|message| message.id);
        Ok(Self {
            clock,
            directory: Some(directory),
            messages: Arc::new(Mutex::new(messages.into())),
        })
    }

    /// All messages, newest first.
    pub fn list(&self) -> Vec<Received> {
        self.lock().iter().rev().cloned().collect()
    }

    /// Messages to one address, newest first.
    pub fn list_to(&self, address: &str) -> Vec<Received> {
        let lock = self.lock();
        let wanted = lock
            .iter()
            .rev()
            .filter(|message| message.mail.to.eq_ignore_ascii_case(address));
        wanted.cloned().collect()
    }

    /// One message.
    pub fn find(&self, id: u64) -> Option<Received> {
        self.lock().iter().find(|message| message.id == id).cloned()
    }

    /// Forgets all messages, also on disk.
    ///
    /// # Errors
    /// [`MailError::Storage`] when a file cannot be removed.
    pub async fn clear(&self) -> Result<(), MailError> {
        let dropped: Vec<Received> = self.lock().drain(..).collect();
        self.remove_files(&dropped).await
    }

    async fn store(&self, mail: Mail) -> Result<(), MailError> {
        let (message, dropped) = self.push(mail);
        if let Some(directory) = &self.directory {
            let stored = write(&file(directory, message.id), &message).await;
            stored.map_err(|source| MailError::Storage { source })?;
        }
        self.remove_files(dropped.as_slice()).await
    }

    fn push(&self, mail: Mail) -> (Received, Option<Received>) {
        let mut messages = self.lock();
        let message = Received {
            id: messages.back().map_or(1, |last| last.id + 1),
            at_micros: self.clock.now().as_micros(),
            mail,
        };
        messages.push_back(message.clone());
        let dropped = if messages.len() > KEPT {
            messages.pop_front()
        } else {
            None
        };
        (message, dropped)
    }

    async fn remove_files(&self, dropped: &[Received]) -> Result<(), MailError> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        for message in dropped {
            match tokio::fs::remove_file(file(directory, message.id)).await {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(MailError::Storage { source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Received>> {
        // The queue is whole after every statement, so a panic elsewhere does not spoil it.
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailer for Mailbox {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        Box::pin(self.store(mail))
    }
}

fn file(directory: &Path, id: u64) -> PathBuf {
    directory.join(format!("{id:06}.json"))
}

async fn write(path: &Path, message: &Received) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(message)?;
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // SECURITY: messages hold login codes; other users of the machine must not read them.
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.open(path).await?;
    file.write_all(&text).await?;
    file.flush().await
}

fn create_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_types::ManualClock;
    use std::time::Duration;

    fn mail(to: &str, subject: &str) -> Mail {
        Mail {
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: "Your code is 123456.".to_owned(),
            html: None,
        }
    }

    #[tokio::test]
    async fn messages_are_listed_newest_first_with_their_time() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(100)));
        let mailbox = Mailbox::in_memory(Arc::clone(&clock) as Arc<dyn Clock>);
        mailbox.send(mail("ada@acme.test", "one")).await.unwrap();
        clock.advance(Duration::from_secs(5));
        mailbox.send(mail("bob@acme.test", "two")).await.unwrap();

        let all = mailbox.list();
        let found: Vec<_> = all
            .iter()
            .map(|m| (m.id, m.at().as_secs(), m.mail.subject.as_str()))
            .collect();
        assert_eq!(found, [(2, 105, "two"), (1, 100, "one")]);
        assert_eq!(mailbox.list_to("ADA@acme.test").len(), 1);
        assert!(!format!("{all:?}").contains("123456"));
    }

    #[tokio::test]
    async fn only_the_last_200_are_kept_in_memory_and_on_disk() {
        let directory = tempfile::tempdir().unwrap();
        let open = || {
            Mailbox::open(
                Arc::new(ManualClock::new(Timestamp::EPOCH)),
                directory.path().join("mail"),
            )
            .unwrap()
        };
        let mailbox = open();
        for number in 0..205 {
            mailbox
                .send(mail("ada@acme.test", &number.to_string()))
                .await
                .unwrap();
        }
        let reopened = open();
        assert_eq!(reopened.list(), mailbox.list());
        assert_eq!(reopened.list().len(), 200);
        reopened.send(mail("ada@acme.test", "after")).await.unwrap();
        assert_eq!(reopened.list()[0].id, 206);
        reopened.clear().await.unwrap();
        assert!(open().list().is_empty());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mail");
        let mailbox =
            Mailbox::open(Arc::new(ManualClock::new(Timestamp::EPOCH)), path.clone()).unwrap();
        mailbox.send(mail("ada@acme.test", "one")).await.unwrap();
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(file(&path, 1)), 0o600);
        assert_eq!(mode(path), 0o700);
    }
}
