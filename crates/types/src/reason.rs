use crate::ErrorCode;
use std::{error::Error as StdError, fmt, panic::Location, time::Duration};

/// What the edges need to know of a failure: nothing else of it reaches a client.
pub trait Reason: StdError {
    /// Machine-readable reason; decides the gRPC and HTTP status.
    fn code(&self) -> ErrorCode;

    /// Text for the caller: what happened, why, what to do. Never holds a secret.
    fn message(&self) -> String {
        if self.code() == ErrorCode::Internal {
            ErrorCode::Internal.default_message().to_owned()
        } else {
            self.to_string()
        }
    }

    /// How long to wait before trying again, when that is known.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The fields that were wrong, if any.
    fn violations(&self) -> Vec<FieldViolation> {
        Vec::new()
    }
}

/// One field of a request that broke a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldViolation {
    /// Path of the field, as in the contract.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
    /// Name of the broken rule.
    pub constraint: String,
}

/// An infrastructure failure: logged with its cause and place, never shown.
pub struct Internal {
    source: Box<dyn StdError + Send + Sync>,
    location: &'static Location<'static>,
}

impl Internal {
    /// Wraps the cause and remembers where.
    #[track_caller]
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            source: source.into(),
            location: Location::caller(),
        }
    }
}

impl fmt::Debug for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at {})", self.source, self.location)
    }
}

impl fmt::Display for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at {})", self.source, self.location)
    }
}

impl StdError for Internal {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_ref())
    }
}
