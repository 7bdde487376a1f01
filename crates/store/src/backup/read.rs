use super::{
    BackupError, Contents,
    format::{self, Checksum, Line},
};
use crate::{Kind, Value, entities::installation, migrations};
use std::{
    io::{Error, ErrorKind},
    path::Path,
};
use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
};

/// Longest line, in bytes. No row comes near: what it holds arrived in messages of 4 MiB, and as JSON in
/// JSON a byte takes seven at most. What is longer is another file, and must not fill the memory.
const MAX_LINE: u64 = 64 * 1024 * 1024;

/// Reads a backup to its end and compares every byte with what was written.
///
/// # Errors
/// [`BackupError::Damaged`], [`BackupError::TooNew`], [`BackupError::File`].
pub async fn verify(path: &Path) -> Result<Contents, BackupError> {
    let mut input = Input::open(path).await?;
    let Line::Header {
        schema_version,
        created_at,
    } = input.next().await?
    else {
        return Err(input.damaged("no header"));
    };
    let mut contents = Contents {
        schema_version,
        created_at,
        tables: Vec::new(),
        sha256: String::new(),
    };
    loop {
        match input.next().await? {
            Line::Header { .. } => return Err(input.damaged("a second header")),
            Line::Table { name, .. } => contents.tables.push((name, 0)),
            Line::Row(_) => match contents.tables.last_mut() {
                Some((_, rows)) => *rows += 1,
                None => return Err(input.damaged("a row before a table")),
            },
            Line::End => {
                let contents = input.check_end(contents).await?;
                let release = migrations::latest();
                if contents.schema_version > release {
                    return Err(BackupError::TooNew {
                        backup: contents.schema_version,
                        release,
                    });
                }
                return Ok(contents);
            }
        }
    }
}

/// What tells whether a root key opens the secrets in a verified backup; `None` in the copy of an
/// installation that was never started.
///
/// # Errors
/// Those of [`verify`].
pub async fn root_key_fingerprint(path: &Path) -> Result<Option<String>, BackupError> {
    let mut input = Input::open(path).await?;
    let mut is_installation = false;
    loop {
        match input.next().await? {
            Line::Table { name, .. } => is_installation = name == installation::TABLE,
            Line::Row(values) if is_installation => {
                let mut cells = input.columns.iter().zip(values);
                let cell = cells.find(|((name, _), _)| name == installation::FINGERPRINT);
                let Some((_, Value::Text(fingerprint))) = cell else {
                    return Err(input.damaged("no fingerprint of the root key"));
                };
                return Ok(Some(fingerprint));
            }
            Line::Header { .. } | Line::Row(_) => {}
            Line::End => return Ok(None),
        }
    }
}

/// The lines of a file.
pub(super) struct Input {
    file: BufReader<File>,
    line: Vec<u8>,
    number: u64,
    checksum: Option<Checksum>,
    columns: Vec<(String, Kind)>,
}

impl Input {
    pub(super) async fn open(path: &Path) -> Result<Self, BackupError> {
        // To open a FIFO would wait for a writer.
        if !tokio::fs::metadata(path).await?.is_file() {
            let what = "this is not a regular file";
            return Err(Error::new(ErrorKind::InvalidInput, what).into());
        }
        let file = BufReader::new(File::open(path).await?);
        Ok(Self {
            file,
            line: Vec::new(),
            number: 0,
            checksum: Some(Checksum::new()),
            columns: Vec::new(),
        })
    }

    pub(super) async fn next(&mut self) -> Result<Line, BackupError> {
        self.read().await?;
        let line = format::parse(&self.line, &self.columns, self.number)?;
        match (&line, &mut self.checksum) {
            (Line::End, _) | (_, None) => {}
            (_, Some(checksum)) => checksum.add(&self.line),
        }
        if let Line::Table { columns, .. } = &line {
            self.columns.clone_from(columns);
        }
        Ok(line)
    }

    pub(super) const fn damaged(&self, what: &'static str) -> BackupError {
        BackupError::Damaged {
            line: self.number,
            what,
        }
    }

    /// Reads a line without its end.
    async fn read(&mut self) -> Result<(), BackupError> {
        self.line.clear();
        self.number += 1;
        let mut bounded = (&mut self.file).take(MAX_LINE + 1);
        bounded.read_until(b'\n', &mut self.line).await?;
        if bounded.limit() == 0 {
            return Err(self.damaged("longer than 64 MiB"));
        }
        if self.line.pop() != Some(b'\n') {
            return Err(self.damaged("the file ends too early"));
        }
        Ok(())
    }

    /// The last line must be exactly what would be written for these contents, and the last.
    async fn check_end(mut self, mut contents: Contents) -> Result<Contents, BackupError> {
        contents.sha256 = self
            .checksum
            .take()
            .map(Checksum::finish)
            .unwrap_or_default();
        if format::end(&contents).as_bytes() != self.line {
            return Err(self.damaged("the checksum does not fit"));
        }
        if self.file.fill_buf().await?.is_empty() {
            Ok(contents)
        } else {
            Err(self.damaged("more after the end"))
        }
    }
}
