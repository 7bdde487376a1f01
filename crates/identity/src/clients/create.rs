use super::{Client, ClientRow, ClientSettings, ClientType, Error, read::counter, settings};
use crate::{Actor, Context, audit};
use keystead_store::{
    Tx,
    entities::{clients as rows, counters},
};
use keystead_types::{EnvironmentId, FieldViolation, Internal};
use serde_json::json;

/// A new client, as asked for (LG-280).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateClient {
    /// Name shown to people; up to 128 characters, checked by the contract.
    pub name: String,
    /// What it is.
    pub kind: ClientType,
    /// Lifetime of its access tokens in seconds.
    pub access_token_expiry: Option<i64>,
    /// Whether its tokens are refused by the management API.
    pub disallow_api_access: bool,
    /// Everything else.
    pub settings: ClientSettings,
}

/// Adds a client. It has no secret yet.
///
/// # Errors
/// [`Error::Invalid`].
pub async fn create(
    ctx: &Context,
    env: EnvironmentId,
    actor: &Actor,
    command: CreateClient,
) -> Result<Client, Error> {
    if command.kind == ClientType::Environment {
        let description =
            "must be WEB_APP, SPA or NTV: an environment has one API client".to_owned();
        let (field, constraint) = ("client.client_type".to_owned(), "string.in".to_owned());
        return Err(Error::Invalid(FieldViolation {
            field,
            description,
            constraint,
        }));
    }
    let mut tx = ctx.db.begin(env).await?;
    let client = insert(&mut tx, ctx, actor, command).await?;
    tx.commit().await?;
    Ok(client)
}

/// Adds the API client of a new environment (LG-281).
pub(crate) async fn insert_environment_client(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
) -> Result<Client, Internal> {
    let command = CreateClient {
        name: "Default".to_owned(),
        kind: ClientType::Environment,
        access_token_expiry: None,
        disallow_api_access: false,
        settings: ClientSettings::default(),
    };
    insert(tx, ctx, actor, command).await.map_err(Internal::new)
}

async fn insert(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    command: CreateClient,
) -> Result<Client, Error> {
    let mut client_settings = command.settings;
    // LG-280: a public client has no other protection of its codes.
    let public = matches!(command.kind, ClientType::Spa | ClientType::Native);
    client_settings.enforce_pkce |= public;
    settings::check(command.kind, command.access_token_expiry, &client_settings)?;
    let now = ctx.clock.now();
    let row = ClientRow {
        id: ctx.ids.next(&*ctx.clock),
        name: command.name,
        kind: command.kind,
        access_token_expiry: command.access_token_expiry,
        disallow_api_access: command.disallow_api_access || public,
        settings: serde_json::to_string(&client_settings).map_err(Internal::new)?,
        created_at: now,
        updated_at: now,
    };
    rows::insert(tx, &row).await?;
    let detail = json!({ "name": row.name, "client_type": row.kind.as_str() });
    audit::record(
        tx,
        ctx,
        actor,
        "client.created",
        &row.id.to_string(),
        detail,
    )
    .await?;
    counters::add(tx, counter(row.kind), 1).await?;
    Ok(Client {
        row,
        settings: client_settings,
        secrets: Vec::new(),
    })
}
