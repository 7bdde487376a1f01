//! Mail: what is sent ([`Mail`]), through what ([`Mailer`]), and the two ways there are.

mod mailbox;
mod smtp;

pub use mailbox::{Mailbox, Received};
pub use smtp::{SmtpMailer, SmtpSecurity, SmtpSettings};

use crate::BoxError;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One message. Its texts may hold login codes, so `Debug` shows none of them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Address of the one recipient.
    pub to: String,
    /// Subject line.
    pub subject: String,
    /// Body as plain text.
    pub text: String,
    /// Body as HTML, sent as the alternative to `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mail(…)")
    }
}

/// Sends mail. Implementations must never be called inside a database transaction.
pub trait Mailer: Send + Sync + fmt::Debug {
    /// Hands one message over.
    ///
    /// # Errors
    /// [`MailError`]; whether the message arrives in the end is not known in either case.
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>>;
}

/// A message was not accepted. Texts hold no address and no content.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "source fields are what they say")]
pub enum MailError {
    /// The recipient, the sender or the subject cannot be put into a message.
    #[error("the message is not valid")]
    Invalid { source: BoxError },
    /// The server refused the message for good.
    #[error("the mail server refused the message")]
    Refused { source: BoxError },
    /// The server could not be reached or asks to try again.
    #[error("the mail server is not available")]
    Unavailable { source: BoxError },
    /// The mailbox directory cannot be written.
    #[error("the mailbox cannot be written")]
    Storage { source: std::io::Error },
}
