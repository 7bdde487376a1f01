use super::{BackupError, Contents, SHORT_LIVED, format};
use crate::{
    Db, Kind, StoreError, Value,
    db::Backend,
    engine::{Conn, sqlite::unavailable},
    migrations,
    row::Row,
    schema::{self, Table},
};
use keystead_types::Timestamp;
use std::path::{Path, PathBuf};
use tokio::{
    fs::File,
    io::{AsyncWriteExt, BufWriter},
};

/// Rows read at once.
const BATCH: usize = 500;

/// Writes a backup to a new file that only its owner may read.
///
/// The file has its name only when it is whole and on the disk; until then it ends in `.partial`.
///
/// # Errors
/// [`BackupError::File`], also when the file exists already; [`BackupError::Store`].
pub async fn create(db: &Db, path: &Path, at: Timestamp) -> Result<Contents, BackupError> {
    if tokio::fs::try_exists(path).await? {
        return Err(std::io::Error::from(std::io::ErrorKind::AlreadyExists).into());
    }
    let schema_version = migrations::applied(db).await?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let file = tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)
        .await?;
    let mut out = Output {
        file: BufWriter::new(file),
        checksum: format::Checksum::new(),
    };
    out.line(&format::header(schema_version, at, db.engine()))
        .await?;

    let tables = match &db.inner().backend {
        Backend::Sqlite(sqlite) => {
            // The first SELECT fixes the moment.
            let mut snapshot = sqlite
                .readers
                .begin()
                .await
                .map_err(|error| unavailable(&error))?;
            dump(&mut Conn::Sqlite(&mut snapshot), &mut out).await
        }
        Backend::Postgres(pool) => {
            let begun = pool
                .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                .await;
            let mut snapshot = begun.map_err(|error| unavailable(&error))?;
            dump(&mut Conn::Postgres(&mut snapshot), &mut out).await
        }
    };
    let finished = match tables {
        Ok(tables) => out.finish(schema_version, at, tables).await,
        Err(error) => Err(error),
    };
    if finished.is_ok() {
        tokio::fs::rename(&partial, path).await?;
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            File::open(folder).await?.sync_all().await?;
        }
    } else {
        tokio::fs::remove_file(&partial).await?;
    }
    finished
}

async fn dump(conn: &mut Conn<'_>, out: &mut Output) -> Result<Vec<(String, u64)>, BackupError> {
    let mut written = Vec::new();
    for table in schema::tables(conn).await? {
        if SHORT_LIVED.contains(&table.name.as_str()) {
            continue;
        }
        let columns: Vec<(String, Kind)> = table
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.kind))
            .collect();
        out.line(&format::table(&table.name, &columns)).await?;
        let mut rows = 0;
        let mut last: Option<Vec<Value>> = None;
        loop {
            let batch = conn
                .fetch_dynamic(
                    select(&table, last.is_some()),
                    last.take().unwrap_or_default(),
                )
                .await?;
            for row in &batch {
                let values = values(row, &columns)?;
                out.line(&format::row(&values)).await?;
                rows += 1;
                last = Some(key(&table, &columns, &values));
            }
            if batch.len() < BATCH {
                break;
            }
        }
        written.push((table.name, rows));
    }
    Ok(written)
}

/// The next rows in the order of the primary key.
fn select(table: &Table, after: bool) -> String {
    let columns: Vec<&str> = table
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let key = table.primary_key.join(", ");
    let places: Vec<String> = (1..=table.primary_key.len())
        .map(|place| format!("${place}"))
        .collect();
    let after = if after {
        format!("WHERE ({key}) > ({})", places.join(", "))
    } else {
        String::new()
    };
    format!(
        "SELECT {} FROM {} {after} ORDER BY {key} LIMIT {BATCH}",
        columns.join(", "),
        table.name
    )
}

fn values(row: &Row, columns: &[(String, Kind)]) -> Result<Vec<Value>, StoreError> {
    columns
        .iter()
        .enumerate()
        .map(|(index, (_, kind))| row.value(index, *kind))
        .collect()
}

fn key(table: &Table, columns: &[(String, Kind)], values: &[Value]) -> Vec<Value> {
    let place = |name: &String| columns.iter().position(|(column, _)| column == name);
    let places = table.primary_key.iter().filter_map(place);
    places
        .filter_map(|place| values.get(place).cloned())
        .collect()
}

struct Output {
    file: BufWriter<File>,
    checksum: format::Checksum,
}

impl Output {
    async fn line(&mut self, line: &str) -> Result<(), BackupError> {
        self.checksum.add(line.as_bytes());
        self.file.write_all(line.as_bytes()).await?;
        Ok(self.file.write_all(b"\n").await?)
    }

    async fn finish(
        mut self,
        schema_version: u32,
        created_at: Timestamp,
        tables: Vec<(String, u64)>,
    ) -> Result<Contents, BackupError> {
        let contents = Contents {
            schema_version,
            created_at,
            tables,
            sha256: self.checksum.finish(),
        };
        self.file
            .write_all(format::end(&contents).as_bytes())
            .await?;
        self.file.write_all(b"\n").await?;
        self.file.flush().await?;
        self.file.get_ref().sync_all().await?;
        Ok(contents)
    }
}
