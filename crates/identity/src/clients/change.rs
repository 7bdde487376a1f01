use super::{Client, ClientRow, ClientSettings, ClientType, Error, get, read::counter, settings};
use crate::{Actor, Context, audit};
use keystead_store::entities::{clients as rows, counters};
use keystead_types::{ClientId, EnvironmentId, Internal};
use serde_json::json;

/// The state of a client after an update. Made from the client as it is (LG-284).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpdateClient {
    /// Name shown to people.
    pub name: String,
    /// Lifetime of its access tokens in seconds.
    pub access_token_expiry: Option<i64>,
    /// Whether its tokens are refused by the management API.
    pub disallow_api_access: bool,
    /// Everything else.
    pub settings: ClientSettings,
}

/// Changes a client. `apply` gets the client as it is and says how it should be.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`].
pub async fn update(
    ctx: &Context,
    env: EnvironmentId,
    actor: &Actor,
    id: ClientId,
    apply: impl FnOnce(UpdateClient) -> UpdateClient + Send,
) -> Result<Client, Error> {
    let mut tx = ctx.db.begin(env).await?;
    let now = ctx.clock.now();
    // Locks the client, so that no update is made from a state that is already old.
    if !rows::touch(&mut tx, id, now).await? {
        return Err(Error::NotFound);
    }
    let old = get(&mut tx, id).await?;
    let mut new = apply(UpdateClient {
        name: old.row.name.clone(),
        access_token_expiry: old.row.access_token_expiry,
        disallow_api_access: old.row.disallow_api_access,
        settings: old.settings.clone(),
    });
    let public = matches!(old.row.kind, ClientType::Spa | ClientType::Native);
    new.settings.enforce_pkce |= public;
    settings::check(old.row.kind, new.access_token_expiry, &new.settings)?;
    let row = ClientRow {
        name: new.name,
        access_token_expiry: new.access_token_expiry,
        disallow_api_access: new.disallow_api_access || public,
        settings: serde_json::to_string(&new.settings).map_err(Internal::new)?,
        updated_at: now,
        ..old.row
    };
    rows::update(&mut tx, &row).await?;
    let detail = json!({ "name": row.name, "client_type": row.kind.as_str() });
    audit::record(
        &mut tx,
        ctx,
        actor,
        "client.updated",
        &id.to_string(),
        detail,
    )
    .await?;
    tx.commit().await?;
    ctx.clients.forget(env, id).await;
    Ok(Client {
        row,
        settings: new.settings,
        secrets: old.secrets,
    })
}

/// Deletes a client with its secrets; its tokens are refused from now on (LG-283).
///
/// # Errors
/// [`Error::NotFound`], [`Error::EnvironmentClient`].
pub async fn delete(
    ctx: &Context,
    env: EnvironmentId,
    actor: &Actor,
    id: ClientId,
) -> Result<(), Error> {
    let mut tx = ctx.db.begin(env).await?;
    let client = get(&mut tx, id).await?;
    if client.row.kind == ClientType::Environment {
        return Err(Error::EnvironmentClient);
    }
    if !rows::delete(&mut tx, id).await? {
        return Err(Error::NotFound);
    }
    let detail = json!({ "name": client.row.name, "client_type": client.row.kind.as_str() });
    audit::record(
        &mut tx,
        ctx,
        actor,
        "client.deleted",
        &id.to_string(),
        detail,
    )
    .await?;
    counters::add(&mut tx, counter(client.row.kind), -1).await?;
    tx.commit().await?;
    ctx.clients.forget(env, id).await;
    Ok(())
}
