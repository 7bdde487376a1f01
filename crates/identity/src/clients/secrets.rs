use super::{Client, ClientSecret, ClientType, Error, SECRET_PURPOSE, SecretStatus, get};
use crate::{Actor, Context, audit};
use keystead_crypto::random_token;
use keystead_store::{
    Query, Tx,
    entities::{
        clients as rows,
        environments::{self, EnvironmentKind},
    },
};
use keystead_types::{ClientId, ClientSecretId, EnvironmentId, Internal, Secret, Timestamp};
use serde_json::json;

/// So that a secret can be replaced without downtime, and not forgotten in a drawer (LG-282).
pub const MAX_ACTIVE_SECRETS: usize = 2;

/// A secret that was just made: the only moment its text exists.
#[derive(Clone, Debug)]
pub struct IssuedSecret {
    /// What is stored of it.
    pub secret: ClientSecret,
    /// The text to show once.
    pub plain: Secret<String>,
}

/// Makes another secret of a client (LG-282).
///
/// # Errors
/// [`Error::NotFound`], [`Error::SecretLimit`], [`Error::PublicClient`].
pub async fn create_secret(
    ctx: &Context,
    env: EnvironmentId,
    actor: &Actor,
    client: ClientId,
) -> Result<IssuedSecret, Error> {
    let mut tx = ctx.db.begin(env).await?;
    let issued = issue(&mut tx, ctx, actor, client).await?;
    tx.commit().await?;
    ctx.clients.forget(env, client).await;
    Ok(issued)
}

/// Makes a secret in a transaction that is already open.
pub(crate) async fn issue(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    client: ClientId,
) -> Result<IssuedSecret, Error> {
    let current = locked(tx, ctx, client).await?;
    if matches!(current.row.kind, ClientType::Spa | ClientType::Native) {
        return Err(Error::PublicClient(current.row.kind));
    }
    let now = ctx.clock.now();
    room_for_one_more(&current, now)?;
    let kind = environment_kind(tx).await?;
    let plain = new_secret(ctx, kind);
    let text = plain.expose();
    let secret = ClientSecret {
        id: ctx.ids.next(&*ctx.clock),
        client,
        hash: ctx
            .keys
            .hasher
            .hash(SECRET_PURPOSE, text)
            .as_bytes()
            .to_vec(),
        suffix: text
            .chars()
            .skip(text.chars().count().saturating_sub(4))
            .collect(),
        status: SecretStatus::Active,
        created_by: Some(actor.name.clone()),
        created_at: now,
        updated_at: now,
        expires_at: None,
        last_used_at: None,
    };
    rows::insert_secret(tx, &secret).await?;
    record(tx, ctx, actor, "client_secret.created", &secret).await?;
    Ok(IssuedSecret { secret, plain })
}

/// `test_` or `live_` and 256 random bits (MC-283).
fn new_secret(ctx: &Context, kind: EnvironmentKind) -> Secret<String> {
    let prefix = match kind {
        EnvironmentKind::Development => "test_",
        EnvironmentKind::Production => "live_",
    };
    random_token(&*ctx.rng, prefix, 32)
}

async fn environment_kind(tx: &mut Tx) -> Result<EnvironmentKind, Error> {
    let env = tx.env();
    let environment = environments::find(tx, env).await?;
    environment
        .map(|environment| environment.kind)
        .ok_or(Error::NotFound)
}

/// Switches a secret on or off (LG-282).
///
/// # Errors
/// [`Error::NotFound`], [`Error::SecretNotFound`], [`Error::SecretLimit`].
pub async fn set_secret_status(
    ctx: &Context,
    env: EnvironmentId,
    actor: &Actor,
    client: ClientId,
    id: ClientSecretId,
    status: SecretStatus,
) -> Result<ClientSecret, Error> {
    let mut tx = ctx.db.begin(env).await?;
    let current = locked(&mut tx, ctx, client).await?;
    let mut secret = find(&current, id)?;
    if secret.status == status {
        return Ok(secret);
    }
    let now = ctx.clock.now();
    if status == SecretStatus::Active {
        room_for_one_more(&current, now)?;
    }
    rows::set_secret_status(&mut tx, client, id, status, now).await?;
    (secret.status, secret.updated_at) = (status, now);
    record(&mut tx, ctx, actor, "client_secret.updated", &secret).await?;
    tx.commit().await?;
    ctx.clients.forget(env, client).await;
    Ok(secret)
}

/// Deletes a secret: it stops working, and so do the tokens made with it (DB 3.5).
///
/// # Errors
/// [`Error::NotFound`], [`Error::SecretNotFound`], [`Error::LastSecret`].
pub async fn delete_secret(
    ctx: &Context,
    env: EnvironmentId,
    actor: &Actor,
    client: ClientId,
    id: ClientSecretId,
) -> Result<(), Error> {
    let mut tx = ctx.db.begin(env).await?;
    let current = locked(&mut tx, ctx, client).await?;
    let secret = find(&current, id)?;
    if current.secrets.len() == 1 {
        return Err(Error::LastSecret);
    }
    rows::delete_secret(&mut tx, client, id).await?;
    record(&mut tx, ctx, actor, "client_secret.deleted", &secret).await?;
    tx.commit().await?;
    ctx.clients.forget(env, client).await;
    Ok(())
}

/// Stores when secrets were last used. The caller collects uses for a while, so that issuing a
/// token writes nothing.
///
/// # Errors
/// When the database fails.
pub async fn note_secret_uses(
    ctx: &Context,
    env: EnvironmentId,
    uses: &[(ClientSecretId, Timestamp)],
) -> Result<(), Internal> {
    let mut tx = ctx.db.begin(env).await.map_err(Internal::new)?;
    for (id, at) in uses {
        rows::secret_used(&mut tx, *id, *at)
            .await
            .map_err(Internal::new)?;
    }
    tx.commit().await.map_err(Internal::new)
}

async fn locked(tx: &mut Tx, ctx: &Context, client: ClientId) -> Result<Client, Error> {
    if !rows::touch(tx, client, ctx.clock.now()).await? {
        return Err(Error::NotFound);
    }
    get(tx, client).await
}

fn find(client: &Client, id: ClientSecretId) -> Result<ClientSecret, Error> {
    client
        .secrets
        .iter()
        .find(|secret| secret.id == id)
        .cloned()
        .ok_or(Error::SecretNotFound)
}

fn room_for_one_more(client: &Client, now: Timestamp) -> Result<(), Error> {
    let active = client
        .secrets
        .iter()
        .filter(|secret| secret.is_usable(now))
        .count();
    if active < MAX_ACTIVE_SECRETS {
        Ok(())
    } else {
        Err(Error::SecretLimit)
    }
}

async fn record(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    action: &'static str,
    secret: &ClientSecret,
) -> Result<(), Error> {
    let detail = json!({
        "client_id": secret.client.to_string(),
        "secret_suffix": secret.suffix,
        "status": secret.status.as_str(),
    });
    Ok(audit::record(tx, ctx, actor, action, &secret.id.to_string(), detail).await?)
}
