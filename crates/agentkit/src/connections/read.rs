//! Finding connections by id, name and in lists (AK-102).

use super::Connection;
use crate::{AgentKit, Error, error::Result};
use keystead_crypto::CursorScope;
use keystead_store::{
    Query, SortKey, Window,
    entities::connections::{self, ConnectionFilter, ConnectionRow},
};
use keystead_types::{ConnectionId, EnvironmentId, Id, Page, PageRequest};

impl AgentKit {
    /// The connection of an id.
    pub async fn connection(&self, env: EnvironmentId, id: ConnectionId) -> Result<Connection> {
        let row = connections::find(&mut self.ctx().db.read(env), id).await?;
        let row = row.ok_or_else(|| Error::ConnectionNotFound(id.to_string()))?;
        self.open_connection(env, row).await
    }

    /// The connection of a name (AK-102).
    pub async fn connection_named(&self, env: EnvironmentId, name: &str) -> Result<Connection> {
        let row = self
            .connection_row_named(&mut self.ctx().db.read(env), name)
            .await?;
        self.open_connection(env, row).await
    }

    /// As [`Self::connection_named`], without opening the secrets. A name that is no connection but
    /// a connector with exactly one enabled connection means that one (AK-102).
    pub(crate) async fn connection_row_named(
        &self,
        db: &mut impl Query,
        name: &str,
    ) -> Result<ConnectionRow> {
        if let Some(row) = connections::find_by_key_id(db, name).await? {
            return Ok(row);
        }
        let provider = name.to_ascii_uppercase();
        let enabled = connections::by_provider(db, &provider)
            .await?
            .into_iter()
            .filter(|row| row.enabled);
        let mut enabled: Vec<ConnectionRow> = enabled.collect();
        match (enabled.pop(), enabled.is_empty()) {
            (Some(only), true) => Ok(only),
            _ => Err(Error::ConnectionNotFound(name.to_owned())),
        }
    }

    /// Lists connections, oldest first.
    pub async fn list_connections(
        &self,
        env: EnvironmentId,
        filter: &ConnectionFilter,
        page: &PageRequest,
    ) -> Result<Page<Connection>> {
        let canonical = format!(
            "{}\n{}",
            filter.provider_key.as_deref().unwrap_or(""),
            filter.query.as_deref().unwrap_or("")
        );
        let scope = CursorScope {
            list: "connections",
            environment: env,
            filter: canonical.as_bytes(),
        };
        let window = Window::open(page, &self.ctx().keys.cursor, scope)?;
        let mut read = self.ctx().db.read(env);
        let rows = connections::list(&mut read, filter, &window).await?;
        let total = connections::count(&mut read, filter).await?;
        let rows = window.finish(rows, total, |row| (SortKey::Int(0), row.id.number()));
        let mut items = Vec::with_capacity(rows.items.len());
        for row in rows.items {
            items.push(self.open_connection(env, row).await?);
        }
        Ok(Page {
            items,
            next_page_token: rows.next_page_token,
            prev_page_token: rows.prev_page_token,
            total_size: rows.total_size,
        })
    }
}
