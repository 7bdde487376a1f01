//! Events, audit records and history of accounts: written in the transaction of the change.

use crate::{
    accounts::{Account, AccountStatus},
    connections::Connection,
    error::Result,
};
use keystead_events::{AuditRecord, NewEvent, Outcome};
use keystead_identity::{Actor, Context};
use keystead_store::{
    Tx,
    entities::agentkit::{self, HistoryEntry},
};
use keystead_types::ConnectedAccountId;
use serde_json::{Map, Value, json};

/// Outgoing events of connected accounts (AK-620).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AccountEvent {
    Created,
    Updated,
    Deleted,
    MagicLinkGenerated,
    OauthSucceeded,
    OauthTokensFetched,
    TokenRefreshSucceeded,
    TokenRefreshFailed,
}

impl AccountEvent {
    const fn kind(self) -> &'static str {
        match self {
            Self::Created => "connected_account.created",
            Self::Updated => "connected_account.updated",
            Self::Deleted => "connected_account.deleted",
            Self::MagicLinkGenerated => "connected_account.magic_link_generated",
            Self::OauthSucceeded => "connected_account.oauth_succeeded",
            Self::OauthTokensFetched => "connected_account.oauth_tokens_fetched",
            Self::TokenRefreshSucceeded => "connected_account.token_refresh_succeeded",
            Self::TokenRefreshFailed => "connected_account.token_refresh_failed",
        }
    }
}

/// Emits an event of an account, and adds it to the account's history.
pub(crate) async fn account_event(
    tx: &mut Tx,
    ctx: &Context,
    event: AccountEvent,
    account: &Account,
    connection: &Connection,
    detail: &str,
) -> Result<()> {
    if event != AccountEvent::Deleted {
        history(tx, ctx, account.id, event.kind(), detail).await?;
    }
    emit(tx, ctx, event.kind(), account, data(account, connection)).await
}

/// Emits `oauth_succeeded`. `other_account` says that another account of the provider consented than
/// the one before (4.2.3).
pub(crate) async fn oauth_succeeded(
    tx: &mut Tx,
    ctx: &Context,
    account: &Account,
    connection: &Connection,
    detail: &str,
    other_account: bool,
) -> Result<()> {
    let kind = AccountEvent::OauthSucceeded.kind();
    history(tx, ctx, account.id, kind, detail).await?;
    let mut data = data(account, connection);
    if other_account {
        data.insert("provider_account_changed".to_owned(), json!(true));
    }
    emit(tx, ctx, kind, account, data).await
}

/// Emits `status_updated` when the state changed (AK-621); never for a new account.
pub(crate) async fn status_change(
    tx: &mut Tx,
    ctx: &Context,
    account: &Account,
    connection: &Connection,
    old: AccountStatus,
) -> Result<()> {
    if old == account.status {
        return Ok(());
    }
    let mut data = data(account, connection);
    data.insert("connection_name".to_owned(), json!(connection.key_id));
    data.insert("old_status".to_owned(), json!(old.as_str()));
    let detail = format!("{} → {}", old.as_str(), account.status.as_str());
    history(
        tx,
        ctx,
        account.id,
        "connected_account.status_updated",
        &detail,
    )
    .await?;
    emit(tx, ctx, "connected_account.status_updated", account, data).await
}

/// What an event is called for people.
fn title(kind: &str) -> &'static str {
    match kind {
        "connected_account.created" => "Connected account created",
        "connected_account.updated" => "Connected account updated",
        "connected_account.status_updated" => "Connected account status updated",
        "connected_account.deleted" => "Connected account deleted",
        "connected_account.magic_link_generated" => "Connected account link generated",
        "connected_account.oauth_succeeded" => "Connected account authorized",
        "connected_account.oauth_tokens_fetched" => "Connected account tokens fetched",
        "connected_account.token_refresh_succeeded" => "Connected account tokens refreshed",
        "connected_account.token_refresh_failed" => "Connected account tokens not refreshed",
        _ => "Connected account changed",
    }
}

fn data(account: &Account, connection: &Connection) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("id".to_owned(), json!(account.id.to_string()));
    data.insert("identifier".to_owned(), json!(account.identifier));
    data.insert("connection_id".to_owned(), json!(connection.id.to_string()));
    data.insert("provider".to_owned(), json!(connection.provider_key));
    data.insert(
        "authorization_type".to_owned(),
        json!(connection.kind.credential_type()),
    );
    data.insert("status".to_owned(), json!(account.status.as_str()));
    for (name, at) in [
        ("token_expires_at", account.token_expires_at),
        ("last_used_at", account.last_used_at),
    ] {
        if let Some(at) = at {
            data.insert(name.to_owned(), json!(at.to_string()));
        }
    }
    data
}

async fn emit(
    tx: &mut Tx,
    ctx: &Context,
    kind: &'static str,
    account: &Account,
    data: Map<String, Value>,
) -> Result<()> {
    let event = NewEvent {
        id: ctx.ids.next(&*ctx.clock),
        kind,
        object: "ConnectedAccount",
        organization_id: account.organization_id.parse().ok(),
        display_name: Some(title(kind)),
        data: Value::Object(data),
        at: ctx.clock.now(),
    };
    keystead_events::emit(tx, &event).await?;
    Ok(())
}

/// Adds an entry to an account's history.
pub(crate) async fn history(
    tx: &mut Tx,
    ctx: &Context,
    account: ConnectedAccountId,
    kind: &str,
    detail: &str,
) -> Result<()> {
    let entry = HistoryEntry {
        id: ctx.ids.next(&*ctx.clock),
        kind: kind.to_owned(),
        detail: detail.to_owned(),
        at: ctx.clock.now(),
    };
    agentkit::insert_history(tx, account, &entry).await?;
    Ok(())
}

/// Adds an audit record (AK-604).
pub(crate) async fn audit(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    action: &'static str,
    target: &str,
) -> Result<()> {
    let record = AuditRecord {
        id: ctx.ids.next(&*ctx.clock),
        actor: &actor.name,
        action,
        target,
        outcome: Outcome::Success,
        detail: Value::Null,
        request_id: actor.request_id.as_deref().unwrap_or(""),
        at: ctx.clock.now(),
    };
    keystead_events::audit(tx, &record).await?;
    Ok(())
}
