//! The tables as the database itself describes them: for backups, and to compare the engines.

use crate::{
    Db, Kind, Row, StoreError, dialect,
    engine::{Conn, Constraints},
    read,
};

/// A table and how it hangs together with others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// Names of the columns of the primary key, in its order.
    pub(crate) primary_key: Vec<String>,
    /// Tables whose rows must exist first.
    pub(crate) references: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) not_null: bool,
}

/// All tables of the product, each after those it refers to.
pub(crate) async fn tables(conn: &mut Conn<'_>) -> Result<Vec<Table>, StoreError> {
    let none = Constraints::default();
    let columns = conn.fetch_all(dialect::COLUMNS, Vec::new(), &none).await?;
    let keys = conn
        .fetch_all(dialect::FOREIGN_KEYS, Vec::new(), &none)
        .await?;
    sorted(assemble(&columns, &keys)?)
}

fn assemble(columns: &[Row], keys: &[Row]) -> Result<Vec<Table>, StoreError> {
    let mut tables: Vec<Table> = Vec::new();
    let mut primary: Vec<(i64, String)> = Vec::new();
    for row in columns {
        let name: String = row.get("tbl")?;
        if name == "_migrations" {
            continue;
        }
        if tables.last().is_none_or(|table| table.name != name) {
            tables.push(Table {
                name,
                columns: Vec::new(),
                primary_key: Vec::new(),
                references: Vec::new(),
            });
            primary.clear();
        }
        let column = Column {
            name: row.get("col")?,
            kind: kind(&row.get::<String>("typ")?)?,
            not_null: row.get("not_null")?,
        };
        let place: i64 = row.get("pk")?;
        if place > 0 {
            primary.push((place, column.name.clone()));
            primary.sort();
        }
        if let Some(table) = tables.last_mut() {
            table.columns.push(column);
            table.primary_key = primary.iter().map(|(_, name)| name.clone()).collect();
        }
    }
    for row in keys {
        let (name, other): (String, String) = (row.get("tbl")?, row.get("ref")?);
        if let Some(table) = tables.iter_mut().find(|table| table.name == name) {
            table.references.push(other);
        }
    }
    Ok(tables)
}

fn kind(text: &str) -> Result<Kind, StoreError> {
    match text {
        "TEXT" => Ok(Kind::Text),
        "BIGINT" => Ok(Kind::Int),
        "BOOLEAN" => Ok(Kind::Bool),
        "BLOB" | "BYTEA" => Ok(Kind::Bytes),
        other => Err(StoreError::Migration(format!(
            "column type {other} is not used here"
        ))),
    }
}

fn sorted(mut waiting: Vec<Table>) -> Result<Vec<Table>, StoreError> {
    let mut done: Vec<Table> = Vec::new();
    while !waiting.is_empty() {
        let is_ready = |table: &Table| {
            table
                .references
                .iter()
                .all(|other| done.iter().any(|known| known.name == *other))
        };
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
        if ready.is_empty() {
            let names: Vec<_> = rest.iter().map(|table| table.name.as_str()).collect();
            return Err(StoreError::Migration(format!(
                "tables refer to each other in a ring: {}",
                names.join(", ")
            )));
        }
        done.extend(ready);
        waiting = rest;
    }
    Ok(done)
}

impl Db {
    /// Describes every table, column, key and index in a line of its own, alike on both engines.
    pub async fn describe(&self) -> Result<Vec<String>, StoreError> {
        let columns = read::fetch_all(self.inner(), dialect::COLUMNS, Vec::new()).await?;
        let keys = read::fetch_all(self.inner(), dialect::FOREIGN_KEYS, Vec::new()).await?;
        let indexes = read::fetch_all(self.inner(), dialect::INDEXES, Vec::new()).await?;
        let mut lines = Vec::new();
        for table in assemble(&columns, &keys)? {
            lines.push(format!(
                "{} primary key ({})",
                table.name,
                table.primary_key.join(", ")
            ));
            for Column {
                name,
                kind,
                not_null,
            } in table.columns
            {
                lines.push(format!(
                    "{}.{name} {kind:?}{}",
                    table.name,
                    if not_null { " not null" } else { "" }
                ));
            }
        }
        for row in keys {
            let text = |column| row.get::<String>(column);
            let deferred = if row.get("is_deferrable")? {
                " deferred"
            } else {
                ""
            };
            let (table, columns, other, others) = (
                text("tbl")?,
                text("columns")?,
                text("ref")?,
                text("ref_columns")?,
            );
            lines.push(format!(
                "{table} ({columns}) refers to {other} ({others}) on delete {}{deferred}",
                text("on_delete")?
            ));
        }
        for row in indexes {
            let text = |column| {
                row.get::<Option<String>>(column)
                    .map(Option::unwrap_or_default)
            };
            let (unique, partial): (bool, bool) = (row.get("is_unique")?, row.get("is_partial")?);
            lines.push(format!(
                "{}index {} on {} ({}){}",
                if unique { "unique " } else { "" },
                text("idx")?,
                text("tbl")?,
                text("columns")?,
                if partial { " partial" } else { "" },
            ));
        }
        lines.sort();
        Ok(lines)
    }
}
