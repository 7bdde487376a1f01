//! A copy of everything in one file that either engine can be restored from.
//!
//! Lines of JSON: a header, for each table its columns and then its rows, and a last line with the
//! number of rows and the SHA-256 of everything before it. The copy is of one moment, and writers
//! are not held up. Secrets in it are as in the database: sealed with keys that the root key opens,
//! and the root key is not in it. The checksum notices damage, not an attacker: keep the file safe.

mod create;
mod format;
mod read;
mod restore;

pub use create::create;
pub use read::{root_key_fingerprint, verify};
pub use restore::restore;

use crate::StoreError;
use keystead_types::Timestamp;

/// What a node holds for a short time; worthless in a copy.
const SHORT_LIVED: [&str; 2] = ["leases", "nodes"];

/// What is in a backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contents {
    /// Version of the tables.
    pub schema_version: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// Rows of each table.
    pub tables: Vec<(String, u64)>,
    /// SHA-256 of the file without its last line.
    pub sha256: String,
}

/// A backup that could not be made, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file cannot be read or written.
    #[error("the backup file: {0}")]
    File(#[from] std::io::Error),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database cannot hold what is in the backup.
    #[error("row {row} of the table {table} cannot be stored: {cause}")]
    Row {
        /// Table of the row.
        table: String,
        /// Row in the table, from 1, in the order of the backup.
        row: u64,
        /// What the database said.
        cause: StoreError,
    },
    /// The file is not a backup, not whole, or not as it was written.
    #[error("the backup is damaged at line {line}: {what}")]
    Damaged {
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The backup was made by a later release.
    #[error(
        "the backup has tables of version {backup}, this release knows {release}: install a later release"
    )]
    TooNew {
        /// Version in the backup.
        backup: u32,
        /// Version of this release.
        release: u32,
    },
    /// The database to restore to has tables already.
    #[error("the database is not empty: restore to a new one")]
    NotEmpty,
}
