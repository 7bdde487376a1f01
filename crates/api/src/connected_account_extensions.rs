//! `ConnectedAccountExtensionService`: what the contract of the client libraries does not have.

use crate::{
    App,
    convert::{connected_accounts as convert, time},
    request::{Reply, open},
    status::failed,
};
use keystead_agentkit::accounts::AccountKey;
use keystead_proto::extensions::{
    self as pb, connected_account_extension_service_server::ConnectedAccountExtensionService,
};
use tonic::{Request, Response, async_trait};

/// Entries of a history when the caller does not say how many.
const DEFAULT_ENTRIES: u32 = 30;

pub(crate) struct ConnectedAccountExtensions(pub(crate) App);

fn key(id: String) -> AccountKey {
    AccountKey {
        id: Some(id),
        ..AccountKey::default()
    }
}

#[async_trait]
impl ConnectedAccountExtensionService for ConnectedAccountExtensions {
    async fn refresh_connected_account(
        &self,
        request: Request<pb::RefreshConnectedAccountRequest>,
    ) -> Reply<pb::RefreshConnectedAccountResponse> {
        let (caller, message) = open(request)?;
        let (kit, env) = (&self.0.agentkit, caller.env());
        let refreshed = kit
            .refresh_account(env, &caller.actor(), key(message.id))
            .await;
        let account = refreshed.map_err(failed)?;
        let connection = kit.connection(env, account.connection_id).await;
        let connection = connection.map_err(failed)?;
        let scopes = convert::granted_scopes(&account, connection.kind);
        Ok(Response::new(pb::RefreshConnectedAccountResponse {
            connected_account: Some(convert::account(&account, &connection, scopes)),
        }))
    }

    async fn list_connected_account_history(
        &self,
        request: Request<pb::ListConnectedAccountHistoryRequest>,
    ) -> Reply<pb::ListConnectedAccountHistoryResponse> {
        let (caller, message) = open(request)?;
        let (kit, env) = (&self.0.agentkit, caller.env());
        let account = kit.account(env, key(message.id)).await.map_err(failed)?;
        let limit = match message.page_size {
            0 => DEFAULT_ENTRIES,
            size => size.min(100),
        };
        let entries = kit.account_history(env, account.id, limit).await;
        let entries = entries.map_err(failed)?.into_iter();
        let entries = entries.map(|entry| pb::ConnectedAccountHistoryEntry {
            id: entry.id.to_string(),
            kind: entry.kind,
            detail: entry.detail,
            occurred_at: time(entry.at),
        });
        Ok(Response::new(pb::ListConnectedAccountHistoryResponse {
            entries: entries.collect(),
        }))
    }

    async fn list_missing_scopes(
        &self,
        request: Request<pb::ListMissingScopesRequest>,
    ) -> Reply<pb::ListMissingScopesResponse> {
        let (caller, message) = open(request)?;
        let kit = &self.0.agentkit;
        let missing_scopes = kit.missing_scopes(caller.env(), key(message.id)).await;
        Ok(Response::new(pb::ListMissingScopesResponse {
            missing_scopes: missing_scopes.map_err(failed)?,
        }))
    }
}
