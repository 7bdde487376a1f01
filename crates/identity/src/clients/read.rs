use super::{Client, ClientRow, ClientType, Error};
use crate::Context;
use keystead_store::{
    Query, SortKey,
    entities::{clients as rows, counters},
};
use keystead_types::{ClientId, EnvironmentId, Id, Internal, Page, PageRequest};

/// The name of the counter that holds how many clients of a type an environment has.
pub(super) const fn counter(kind: ClientType) -> &'static str {
    match kind {
        ClientType::Environment => "clients.env",
        ClientType::WebApp => "clients.web_app",
        ClientType::Spa => "clients.spa",
        ClientType::Native => "clients.ntv",
    }
}

pub(super) async fn find(db: &mut impl Query, id: ClientId) -> Result<Option<Client>, Error> {
    match rows::find(db, id).await? {
        Some(row) => complete(db, row).await.map(Some),
        None => Ok(None),
    }
}

async fn complete(db: &mut impl Query, row: ClientRow) -> Result<Client, Error> {
    let settings = serde_json::from_str(&row.settings).map_err(Internal::new)?;
    let secrets = rows::secrets(db, row.id).await?;
    Ok(Client {
        row,
        settings,
        secrets,
    })
}

/// Gets a client.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &mut impl Query, id: ClientId) -> Result<Client, Error> {
    find(db, id).await?.ok_or(Error::NotFound)
}

/// Lists the clients of an environment, oldest first; no kinds means all of them (LG-284).
///
/// # Errors
/// [`Error::InvalidPageToken`].
pub async fn list(
    ctx: &Context,
    env: EnvironmentId,
    page: &PageRequest,
    kinds: &[ClientType],
) -> Result<Page<Client>, Error> {
    const ALL: [ClientType; 4] = [
        ClientType::Environment,
        ClientType::WebApp,
        ClientType::Spa,
        ClientType::Native,
    ];
    let wanted: Vec<ClientType> = ALL
        .into_iter()
        .filter(|kind| kinds.is_empty() || kinds.contains(kind))
        .collect();
    let filter: String = wanted.iter().map(|kind| kind.as_str()).collect();
    let window = ctx.window(page, "clients", env, filter.as_bytes())?;

    // The statement has four places; a type that is not wanted is replaced by one that is.
    let spare = wanted.first().copied().unwrap_or(ClientType::Environment);
    let places = ALL.map(|kind| if wanted.contains(&kind) { kind } else { spare });
    let mut reader = ctx.db.read(env);
    let mut items = Vec::new();
    for row in rows::list(&mut reader, places, &window).await? {
        items.push(complete(&mut reader, row).await?);
    }
    let mut total_size = 0;
    for kind in wanted {
        total_size += counters::get(&mut reader, counter(kind)).await?;
    }
    Ok(window.finish(items, total_size, |client| {
        (
            SortKey::Int(client.row.created_at.as_micros()),
            client.row.id.number(),
        )
    }))
}

/// The API client that every environment has (LG-281).
///
/// # Errors
/// When the database cannot be read.
pub async fn environment_client(ctx: &Context, env: EnvironmentId) -> Result<ClientId, Error> {
    let found = rows::find_by_type(&mut ctx.db.read(env), ClientType::Environment).await?;
    found.map(|row| row.id).ok_or(Error::NotFound)
}
