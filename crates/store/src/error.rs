use crate::engine::Constraints;
use sqlx::error::ErrorKind;

/// What can go wrong between here and the disk.
///
/// No variant holds a bound value: messages of the engines that could repeat one are cut.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// A row with the same key exists. Ask with [`StoreError::is_unique_violation`].
    #[error("{statement}: a row with the same {} exists", constraints.join(" or "))]
    Unique {
        /// Name of the statement.
        statement: &'static str,
        /// The constraint or index; SQLite cannot tell partial indexes on the same columns apart.
        constraints: Vec<String>,
    },
    /// A row that is referred to does not exist, or is still referred to.
    #[error("{statement}: a foreign key does not hold")]
    ForeignKey {
        /// Name of the statement.
        statement: &'static str,
    },
    /// The database is occupied or the transaction lost a race; trying again may succeed.
    #[error("{statement}: the database is busy ({code})")]
    Busy {
        /// Name of the statement.
        statement: &'static str,
        /// Code of the engine.
        code: String,
    },
    /// No connection could be made or it broke.
    #[error("{statement}: the database is not available: {message}")]
    Unavailable {
        /// Name of the statement.
        statement: &'static str,
        /// What the driver said.
        message: String,
    },
    /// The engine refused the statement for another reason.
    #[error("{statement}: {message} ({code})")]
    Database {
        /// Name of the statement.
        statement: &'static str,
        /// SQLSTATE or extended result code of SQLite.
        code: String,
        /// What the engine said; empty when it could repeat a value.
        message: String,
    },
    /// An earlier statement of the transaction failed or was cut off, so nothing more may run in it.
    #[error("{statement}: the transaction failed before")]
    Failed {
        /// Name of the statement, or `commit`.
        statement: &'static str,
    },
    /// The commit did not happen: nothing of the transaction is stored.
    #[error("the transaction was not committed: {message}")]
    NotCommitted {
        /// What the engine said.
        message: String,
    },
    /// A statement that does not begin with SELECT was given to a reader.
    #[error("{statement}: a reader cannot write")]
    ReadOnly {
        /// Name of the statement.
        statement: &'static str,
    },
    /// More placeholders than values or the other way round.
    #[error("{statement}: wants {wanted} values, got {given}")]
    Parameters {
        /// Name of the statement.
        statement: &'static str,
        /// Placeholders.
        wanted: usize,
        /// Values.
        given: usize,
    },
    /// One row was asked for and the answer has more, or none.
    #[error("{statement}: {found} rows instead of one")]
    RowCount {
        /// Name of the statement.
        statement: &'static str,
        /// Rows.
        found: usize,
    },
    /// A column is absent or does not hold what is expected.
    #[error("column {column}: {cause}")]
    Column {
        /// Its name.
        column: &'static str,
        /// What is wrong.
        cause: String,
    },
    /// The database does not fit this program.
    #[error("migrations: {0}")]
    Migration(String),
    /// The settings of the database make no sense.
    #[error("database settings: {0}")]
    Config(String),
    /// The page token of a list was not given out by this list.
    #[error("the page token is not valid for this list")]
    PageToken,
}

impl StoreError {
    /// True when a row with the same key exists. `constraint` is the name of the unique index, or
    /// `<table>_pkey` for a primary key, on both engines.
    pub fn is_unique_violation(&self, constraint: &str) -> bool {
        matches!(self, Self::Unique { constraints, .. } if constraints.iter().any(|name| name == constraint))
    }

    /// True when the same transaction may succeed when it is run again.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. } | Self::Unavailable { .. } | Self::NotCommitted { .. }
        )
    }

    pub(crate) fn from_sqlx(
        error: &sqlx::Error,
        statement: &'static str,
        constraints: &Constraints,
    ) -> Self {
        let sqlx::Error::Database(fault) = error else {
            return match error {
                sqlx::Error::PoolTimedOut => Self::Busy {
                    statement,
                    code: "no free connection".to_owned(),
                },
                sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::Decode(_)
                | sqlx::Error::Encode(_) => Self::Database {
                    statement,
                    code: "driver".to_owned(),
                    message: String::new(),
                },
                other => Self::Unavailable {
                    statement,
                    message: other.to_string(),
                },
            };
        };
        let code = fault.code().unwrap_or_default().into_owned();
        match fault.kind() {
            ErrorKind::UniqueViolation => Self::Unique {
                statement,
                constraints: fault.constraint().map_or_else(
                    || constraints.named_by(fault.message()),
                    |name| vec![name.to_owned()],
                ),
            },
            ErrorKind::ForeignKeyViolation => Self::ForeignKey { statement },
            _ if is_busy(&code) => Self::Busy { statement, code },
            _ => Self::Database {
                statement,
                message: harmless(&code, fault.message()),
                code,
            },
        }
    }
}

/// SQLite: BUSY and LOCKED with all their extensions. PostgreSQL: serialization failure, deadlock,
/// lock not available, cancelled by a time limit, too many connections; shutting down, crashed or
/// failing over, hung up on an idle connection (classes 57P and 08).
fn is_busy(code: &str) -> bool {
    const POSTGRES: [&str; 6] = ["40001", "40P01", "55P03", "57014", "53300", "25P03"];
    const CLASSES: [&str; 2] = ["57P", "08"];
    if code.len() == 5 {
        return POSTGRES.contains(&code) || CLASSES.iter().any(|class| code.starts_with(class));
    }
    code.parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, 5 | 6))
}

// SECURITY: PostgreSQL's class 22 (data exceptions) quotes the offending value in its message.
fn harmless(code: &str, message: &str) -> String {
    if code == "22021" {
        "a text has a character that the database cannot store".to_owned()
    } else if code.len() == 5 && code.starts_with("22") {
        String::new()
    } else {
        message.to_owned()
    }
}

/// Turns a unique violation into the reason of the domain.
pub trait OnUnique<T> {
    /// Maps a violation of `constraint` with `reason`; every other error is converted as it is.
    fn on_unique<E: From<StoreError>>(
        self,
        constraint: &str,
        reason: impl FnOnce(StoreError) -> E,
    ) -> Result<T, E>;
}

impl<T> OnUnique<T> for Result<T, StoreError> {
    fn on_unique<E: From<StoreError>>(
        self,
        constraint: &str,
        reason: impl FnOnce(StoreError) -> E,
    ) -> Result<T, E> {
        self.map_err(|error| {
            if error.is_unique_violation(constraint) {
                reason(error)
            } else {
                error.into()
            }
        })
    }
}
