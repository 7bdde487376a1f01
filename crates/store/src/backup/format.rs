use super::{BackupError, Contents};
use crate::{Engine, Kind, Value};
use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use keystead_types::Timestamp;
use serde_json::json;

/// Grows when an old release could not read the file.
const FORMAT: u64 = 1;

/// One line.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Line {
    Header {
        schema_version: u32,
        created_at: Timestamp,
    },
    Table {
        name: String,
        columns: Vec<(String, Kind)>,
    },
    Row(Vec<Value>),
    End,
}

pub(crate) fn header(schema_version: u32, created_at: Timestamp, engine: Engine) -> String {
    let engine = format!("{engine:?}").to_lowercase();
    let line = json!({ "keystead_backup": FORMAT, "schema_version": schema_version, "created_at": created_at.as_micros(), "engine": engine });
    line.to_string()
}

pub(crate) fn table(name: &str, columns: &[(String, Kind)]) -> String {
    json!({ "table": name, "columns": columns }).to_string()
}

pub(crate) fn row(values: &[Value]) -> String {
    let cells = values.iter().map(|value| match value {
        Value::Text(text) => json!(text),
        Value::Int(number) => json!(number),
        Value::Bool(flag) => json!(flag),
        Value::Bytes(bytes) => json!(BASE64_STANDARD.encode(bytes)),
        Value::Null(_) => serde_json::Value::Null,
    });
    serde_json::Value::Array(cells.collect()).to_string()
}

pub(crate) fn end(contents: &Contents) -> String {
    let rows: u64 = contents.tables.iter().map(|(_, rows)| rows).sum();
    json!({ "end": { "rows": rows, "sha256": contents.sha256 } }).to_string()
}

/// Reads a line; the columns are those of the table it is in.
pub(crate) fn parse(
    line: &[u8],
    columns: &[(String, Kind)],
    number: u64,
) -> Result<Line, BackupError> {
    let damaged = |what| BackupError::Damaged { line: number, what };
    let json: serde_json::Value = serde_json::from_slice(line).map_err(|_| damaged("not JSON"))?;
    if let Some(cells) = json.as_array() {
        if cells.len() != columns.len() || cells.is_empty() {
            return Err(damaged("another number of columns"));
        }
        let values = cells
            .iter()
            .zip(columns)
            .map(|(cell, (_, kind))| value(cell, *kind));
        return values
            .collect::<Option<_>>()
            .map(Line::Row)
            .ok_or_else(|| damaged("a value of another type"));
    }
    if let Some(format) = json.get("keystead_backup") {
        if format.as_u64() != Some(FORMAT) {
            return Err(damaged("a format this release does not know"));
        }
        let version = json
            .get("schema_version")
            .and_then(serde_json::Value::as_u64);
        let at = json.get("created_at").and_then(serde_json::Value::as_i64);
        return match (version.and_then(|version| u32::try_from(version).ok()), at) {
            (Some(schema_version), Some(at)) => Ok(Line::Header {
                schema_version,
                created_at: Timestamp::from_micros(at),
            }),
            _ => Err(damaged("an incomplete header")),
        };
    }
    if let Some(name) = json.get("table").and_then(serde_json::Value::as_str) {
        let columns = json.get("columns").cloned().unwrap_or_default();
        let columns = serde_json::from_value(columns).map_err(|_| damaged("unknown columns"))?;
        return Ok(Line::Table {
            name: name.to_owned(),
            columns,
        });
    }
    json.get("end")
        .map(|_| Line::End)
        .ok_or_else(|| damaged("an unknown line"))
}

fn value(cell: &serde_json::Value, kind: Kind) -> Option<Value> {
    Some(match (kind, cell) {
        (_, serde_json::Value::Null) => Value::Null(kind),
        (Kind::Text, cell) => Value::Text(cell.as_str()?.to_owned()),
        (Kind::Int, cell) => Value::Int(cell.as_i64()?),
        (Kind::Bool, cell) => Value::Bool(cell.as_bool()?),
        (Kind::Bytes, cell) => Value::Bytes(BASE64_STANDARD.decode(cell.as_str()?).ok()?),
    })
}

/// The checksum of the lines so far.
pub(crate) struct Checksum(Context);

impl Checksum {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Adds a line with its end.
    pub(crate) fn add(&mut self, line: &[u8]) {
        self.0.update(line);
        self.0.update(b"\n");
    }

    pub(crate) fn finish(self) -> String {
        hex::encode(self.0.finish())
    }
}
