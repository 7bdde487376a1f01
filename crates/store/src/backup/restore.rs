use super::{BackupError, Contents, SHORT_LIVED, format::Line, read::Input, verify};
use crate::{
    Db, Kind, StoreError, Value,
    db::Backend,
    dialect,
    engine::Conn,
    exclusive::Exclusive,
    migrations,
    schema::{self, Table},
};
use std::path::Path;

/// Rows stored at once.
const BATCH: usize = 100;

/// Fills an empty database from a backup of either engine, and brings it to the state of this
/// release. All or nothing. The file is verified first.
///
/// # Errors
/// [`BackupError::NotEmpty`], and those of [`verify`].
pub async fn restore(db: &Db, path: &Path) -> Result<Contents, BackupError> {
    let contents = verify(path).await?;
    let mut exclusive = Exclusive::begin(db).await?;
    // Asked for inside the lock: another process may be migrating.
    let mut conn = exclusive.conn()?;
    if !conn
        .fetch_all(
            dialect::TABLES,
            Vec::new(),
            &crate::engine::Constraints::default(),
        )
        .await?
        .is_empty()
    {
        return Err(BackupError::NotEmpty);
    }
    migrations::apply(&mut conn, contents.schema_version).await?;
    let tables = schema::tables(&mut conn).await?;
    fill(&mut conn, path, &tables).await?;
    migrations::apply(&mut conn, u32::MAX).await?;
    exclusive.commit().await?;
    if let Backend::Sqlite(sqlite) = &db.inner().backend {
        sqlite.reload_constraints().await?;
    }
    Ok(contents)
}

async fn fill(conn: &mut Conn<'_>, path: &Path, tables: &[Table]) -> Result<(), BackupError> {
    let mut input = Input::open(path).await?;
    let mut batch = Batch::default();
    loop {
        match input.next().await? {
            Line::Header { .. } => {}
            Line::Table { name, columns } => {
                batch.store(conn).await?;
                // SECURITY: names go into SQL, so only names of existing tables and columns do.
                let known = tables
                    .iter()
                    .find(|table| table.name == name && !SHORT_LIVED.contains(&name.as_str()));
                let known = known.ok_or_else(|| input.damaged("an unknown table"))?;
                let expected = known
                    .columns
                    .iter()
                    .map(|column| (&column.name, column.kind));
                if !expected.eq(columns.iter().map(|(name, kind)| (name, *kind))) {
                    return Err(input.damaged("columns that do not fit the version"));
                }
                batch = Batch {
                    table: name,
                    columns,
                    ..Batch::default()
                };
            }
            Line::Row(values) => {
                batch.rows.push(values);
                if batch.rows.len() == BATCH {
                    batch.store(conn).await?;
                }
            }
            Line::End => return batch.store(conn).await,
        }
    }
}

#[derive(Default)]
struct Batch {
    table: String,
    columns: Vec<(String, Kind)>,
    /// Rows of the table that are stored already.
    stored: u64,
    rows: Vec<Vec<Value>>,
}

impl Batch {
    /// Stores the rows at once. When the database refuses, one by one, to name the row.
    async fn store(&mut self, conn: &mut Conn<'_>) -> Result<(), BackupError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        script(conn, "SAVEPOINT batch").await?;
        if let Err(refused) = self.insert(conn, &rows).await {
            script(conn, "ROLLBACK TO SAVEPOINT batch").await?;
            for row in rows.chunks(1) {
                self.stored += 1;
                if let Err(cause) = self.insert(conn, row).await {
                    return Err(BackupError::Row {
                        table: self.table.clone(),
                        row: self.stored,
                        cause,
                    });
                }
            }
            return Err(refused.into());
        }
        script(conn, "RELEASE SAVEPOINT batch").await?;
        self.stored += rows.len() as u64;
        Ok(())
    }

    async fn insert(&self, conn: &mut Conn<'_>, rows: &[Vec<Value>]) -> Result<(), StoreError> {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let mut place = 0;
        let mut groups = Vec::with_capacity(rows.len());
        for _ in rows {
            let places: Vec<String> = names
                .iter()
                .map(|_| {
                    place += 1;
                    format!("${place}")
                })
                .collect();
            groups.push(format!("({})", places.join(", ")));
        }
        let text = format!(
            "INSERT INTO {} ({}) VALUES {}",
            self.table,
            names.join(", "),
            groups.join(", ")
        );
        let values = rows.iter().flatten().cloned().collect();
        conn.fetch_dynamic(text, values).await.map(drop)
    }
}

async fn script(conn: &mut Conn<'_>, text: &str) -> Result<(), StoreError> {
    conn.run_script(text.to_owned(), "restore").await
}
