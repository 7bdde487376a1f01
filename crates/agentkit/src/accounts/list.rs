//! Lists of accounts (AK-209, AK-210).

use super::Account;
use crate::{AgentKit, connections::Connection, error::Result};
use keystead_crypto::CursorScope;
use keystead_store::{
    SortKey, Window,
    entities::{
        agentkit::{self, HistoryEntry, ToolCall},
        connected_accounts::{self, AccountFilter},
        connections,
    },
};
use keystead_types::{ConnectedAccountId, ConnectionId, EnvironmentId, Id, Page, PageRequest};
use std::{collections::HashMap, sync::Arc};
use unicode_normalization::UnicodeNormalization;

/// What a list of accounts is limited to; empty texts match any.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccountListing {
    /// Connection names.
    pub connection_names: Vec<String>,
    /// Connector key.
    pub provider: String,
    /// Connection id.
    pub connection_id: String,
    /// Exact identifier.
    pub identifier: String,
    /// Exact organization.
    pub organization_id: String,
    /// Exact user.
    pub user_id: String,
    /// State word.
    pub status: String,
    /// Part of identifier, connection name or connector.
    pub query: String,
    /// Only shared, or only own, credentials.
    pub is_org_wide: Option<bool>,
}

impl AgentKit {
    /// Lists accounts with their connections, newest first. Never reads a credential.
    pub async fn list_accounts(
        &self,
        env: EnvironmentId,
        listing: &AccountListing,
        page: &PageRequest,
    ) -> Result<Page<(Account, Arc<Connection>)>> {
        let Some(filter) = self.filter_of(env, listing).await? else {
            return Ok(Page {
                items: Vec::new(),
                next_page_token: String::new(),
                prev_page_token: String::new(),
                total_size: 0,
            });
        };
        let canonical = format!("{listing:?}");
        let scope = CursorScope {
            list: "connected_accounts",
            environment: env,
            filter: canonical.as_bytes(),
        };
        let window = Window::open(page, &self.ctx().keys.cursor, scope)?;
        let mut read = self.ctx().db.read(env);
        let rows = connected_accounts::list(&mut read, &filter, &window).await?;
        let total = connected_accounts::count(&mut read, &filter).await?;
        let rows = window.finish(rows, total, |row| (SortKey::Int(0), row.id.number()));
        let mut known: HashMap<ConnectionId, Arc<Connection>> = HashMap::new();
        let mut items = Vec::with_capacity(rows.items.len());
        for row in &rows.items {
            let connection = match known.get(&row.connection_id) {
                Some(connection) => Arc::clone(connection),
                None => {
                    let read = Arc::new(self.connection(env, row.connection_id).await?);
                    known.insert(row.connection_id, Arc::clone(&read));
                    read
                }
            };
            items.push((Account::from_row(row, self.ctx().clock.now())?, connection));
        }
        Ok(Page {
            items,
            next_page_token: rows.next_page_token,
            prev_page_token: rows.prev_page_token,
            total_size: rows.total_size,
        })
    }

    /// Turns names into ids; `None` when nothing can match.
    async fn filter_of(
        &self,
        env: EnvironmentId,
        listing: &AccountListing,
    ) -> Result<Option<AccountFilter>> {
        let mut read = self.ctx().db.read(env);
        let mut wanted: Option<Vec<ConnectionId>> = None;
        if !listing.connection_names.is_empty() {
            let mut ids = Vec::new();
            for name in &listing.connection_names {
                ids.extend(
                    connections::find_by_key_id(&mut read, name)
                        .await?
                        .map(|row| row.id),
                );
            }
            wanted = Some(ids);
        }
        if !listing.provider.is_empty() {
            let key = listing.provider.to_ascii_uppercase();
            let of_provider = connections::by_provider(&mut read, &key).await?;
            let ids: Vec<ConnectionId> = of_provider.into_iter().map(|row| row.id).collect();
            wanted = Some(narrowed(wanted, ids));
        }
        if !listing.connection_id.is_empty() {
            let ids = listing.connection_id.parse().into_iter().collect();
            wanted = Some(narrowed(wanted, ids));
        }
        if wanted.as_ref().is_some_and(Vec::is_empty) {
            return Ok(None);
        }
        Ok(Some(AccountFilter {
            connections: wanted.unwrap_or_default(),
            identifier: listing.identifier.as_str().nfc().collect(),
            organization_id: listing.organization_id.clone(),
            user_id: listing.user_id.clone(),
            status: listing.status.clone(),
            now: self.ctx().clock.now(),
            query: listing.query.clone(),
            is_org_wide: listing.is_org_wide,
        }))
    }

    /// The newest entries of an account's history (AK-219).
    pub async fn account_history(
        &self,
        env: EnvironmentId,
        id: ConnectedAccountId,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>> {
        Ok(agentkit::list_history(&mut self.ctx().db.read(env), id, limit).await?)
    }

    /// The newest calls of an account (AK-603).
    pub async fn account_calls(
        &self,
        env: EnvironmentId,
        id: ConnectedAccountId,
        limit: u32,
    ) -> Result<Vec<ToolCall>> {
        Ok(agentkit::list_calls(&mut self.ctx().db.read(env), id, limit).await?)
    }
}

fn narrowed(wanted: Option<Vec<ConnectionId>>, to: Vec<ConnectionId>) -> Vec<ConnectionId> {
    match wanted {
        None => to,
        Some(wanted) => wanted.into_iter().filter(|id| to.contains(id)).collect(),
    }
}
