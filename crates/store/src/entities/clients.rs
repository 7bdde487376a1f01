//! API clients of an environment and their secrets.

use super::text_enum::text_enum;
use crate::{Execute, Fetch, FromRow, Query, Row, Sql, StoreError, Tx, Window, sql};
use keystead_types::{ClientId, ClientSecretId, Timestamp};

text_enum! {
    /// What a client is.
    ClientType {
        /// The API credentials of the environment: exactly one.
        Environment = "ENV",
        /// A web application with a server side.
        WebApp = "WEB_APP",
        /// A single-page application: public.
        Spa = "SPA",
        /// A native application: public.
        Native = "NTV",
    }
}

text_enum! {
    /// Whether a secret authenticates.
    SecretStatus {
        /// It does.
        Active = "ACTIVE",
        /// It was switched off.
        Inactive = "INACTIVE",
    }
}

/// An API client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientRow {
    /// Its id.
    pub id: ClientId,
    /// Name shown to people.
    pub name: String,
    /// What it is; fixed at creation.
    pub kind: ClientType,
    /// Lifetime of its access tokens in seconds, when it is not the default.
    pub access_token_expiry: Option<i64>,
    /// Whether its tokens are refused by the management API.
    pub disallow_api_access: bool,
    /// Everything else, as JSON.
    pub settings: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// One secret of a client. The secret itself is not stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientSecret {
    /// Its id.
    pub id: ClientSecretId,
    /// The client it belongs to.
    pub client: ClientId,
    /// Keyed hash of the secret.
    pub hash: Vec<u8>,
    /// Last four characters, to tell secrets apart.
    pub suffix: String,
    /// Whether it authenticates.
    pub status: SecretStatus,
    /// Who made it.
    pub created_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// From when on it no longer authenticates.
    pub expires_at: Option<Timestamp>,
    /// When it was last used; up to a minute late.
    pub last_used_at: Option<Timestamp>,
}

impl ClientSecret {
    /// Whether it authenticates at `now`.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.status == SecretStatus::Active && self.expires_at.is_none_or(|end| now < end)
    }
}

const INSERT: Sql = sql!(
    "clients.insert",
    "INSERT INTO clients (env_id, id, name, client_type, access_token_expiry, disallow_api_access,
         settings, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
);
const UPDATE: Sql = sql!(
    "clients.update",
    "UPDATE clients SET name = $3, access_token_expiry = $4, disallow_api_access = $5, settings = $6,
         updated_at = $7
     WHERE env_id = $1 AND id = $2"
);
const DELETE: Sql = sql!(
    "clients.delete",
    "DELETE FROM clients WHERE env_id = $1 AND id = $2 RETURNING id"
);
const BY_ID: Sql = sql!(
    "clients.by_id",
    "SELECT * FROM clients WHERE env_id = $1 AND id = $2"
);
const BY_TYPE: Sql = sql!(
    "clients.by_type",
    "SELECT * FROM clients WHERE env_id = $1 AND client_type = $2 ORDER BY created_at, id LIMIT 1"
);
const NEXT: Sql = sql!(
    "clients.next",
    "SELECT * FROM clients
     WHERE env_id = $1 AND (created_at, id) > ($2, $3) AND client_type IN ($4, $5, $6, $7)
     ORDER BY created_at, id LIMIT $8"
);
const PREVIOUS: Sql = sql!(
    "clients.previous",
    "SELECT * FROM clients
     WHERE env_id = $1 AND (created_at, id) < ($2, $3) AND client_type IN ($4, $5, $6, $7)
     ORDER BY created_at DESC, id DESC LIMIT $8"
);
// Locks the client, so that two secrets made at once cannot both be the second.
const TOUCH: Sql = sql!(
    "clients.touch",
    "UPDATE clients SET updated_at = $3 WHERE env_id = $1 AND id = $2 RETURNING id"
);
const INSERT_SECRET: Sql = sql!(
    "clients.insert_secret",
    "INSERT INTO client_secrets (env_id, id, client_id, secret_hash, suffix, status, created_by,
         created_at, updated_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
);
const SECRETS: Sql = sql!(
    "clients.secrets",
    "SELECT * FROM client_secrets WHERE env_id = $1 AND client_id = $2 ORDER BY created_at, id"
);
const SET_STATUS: Sql = sql!(
    "clients.set_secret_status",
    "UPDATE client_secrets SET status = $4, updated_at = $5
     WHERE env_id = $1 AND client_id = $2 AND id = $3"
);
const DELETE_SECRET: Sql = sql!(
    "clients.delete_secret",
    "DELETE FROM client_secrets WHERE env_id = $1 AND client_id = $2 AND id = $3"
);
const USED: Sql = sql!(
    "clients.secret_used",
    "UPDATE client_secrets SET last_used_at = $3
     WHERE env_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at < $3)"
);

pub(crate) const STATEMENTS: &[Sql] = &[
    INSERT,
    UPDATE,
    DELETE,
    BY_ID,
    BY_TYPE,
    NEXT,
    PREVIOUS,
    TOUCH,
    INSERT_SECRET,
    SECRETS,
    SET_STATUS,
    DELETE_SECRET,
    USED,
];

/// Adds a client.
pub async fn insert(tx: &mut Tx, new: &ClientRow) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        new.id,
        &new.name,
        new.kind.as_str(),
        new.access_token_expiry,
        new.disallow_api_access,
        &new.settings,
        new.created_at,
        new.updated_at,
    );
    tx.execute(INSERT, params).await?;
    Ok(())
}

/// Stores the changed fields of a client.
pub async fn update(tx: &mut Tx, client: &ClientRow) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        client.id,
        &client.name,
        client.access_token_expiry,
        client.disallow_api_access,
        &client.settings,
        client.updated_at,
    );
    tx.execute(UPDATE, params).await?;
    Ok(())
}

/// Removes a client with its secrets; `false` when it was gone already.
pub async fn delete(tx: &mut Tx, id: ClientId) -> Result<bool, StoreError> {
    let env = tx.env();
    Ok(tx.fetch_optional(DELETE, (env, id)).await?.is_some())
}

/// Finds a client.
pub async fn find(db: &mut impl Query, id: ClientId) -> Result<Option<ClientRow>, StoreError> {
    let env = db.env();
    db.fetch_optional_as(BY_ID, (env, id)).await
}

/// Finds the oldest client of a type.
pub async fn find_by_type(
    db: &mut impl Query,
    kind: ClientType,
) -> Result<Option<ClientRow>, StoreError> {
    let env = db.env();
    db.fetch_optional_as(BY_TYPE, (env, kind.as_str())).await
}

/// One page of the four `kinds` (repeat one to ask for fewer), oldest first; one row more when
/// there is another.
pub async fn list(
    db: &mut impl Query,
    kinds: [ClientType; 4],
    window: &Window<'_>,
) -> Result<Vec<ClientRow>, StoreError> {
    let env = db.env();
    let [a, b, c, d] = kinds.map(ClientType::as_str);
    let from = (
        env,
        window.key(-1),
        window.id::<ClientId>(),
        a,
        b,
        c,
        d,
        window.limit(),
    );
    db.fetch_all_as(window.choose(NEXT, PREVIOUS), from).await
}

/// Marks a client as changed and locks it; `false` when it does not exist.
pub async fn touch(tx: &mut Tx, id: ClientId, at: Timestamp) -> Result<bool, StoreError> {
    let env = tx.env();
    Ok(tx.fetch_optional(TOUCH, (env, id, at)).await?.is_some())
}

/// Adds a secret.
pub async fn insert_secret(tx: &mut Tx, new: &ClientSecret) -> Result<(), StoreError> {
    let params = (
        tx.env(),
        new.id,
        new.client,
        new.hash.as_slice(),
        &new.suffix,
        new.status.as_str(),
        new.created_by.as_deref(),
        new.created_at,
        new.updated_at,
        new.expires_at,
    );
    tx.execute(INSERT_SECRET, params).await?;
    Ok(())
}

/// All secrets of a client, oldest first (MC-261).
pub async fn secrets(
    db: &mut impl Query,
    client: ClientId,
) -> Result<Vec<ClientSecret>, StoreError> {
    let env = db.env();
    db.fetch_all_as(SECRETS, (env, client)).await
}

/// Switches a secret on or off.
pub async fn set_secret_status(
    tx: &mut Tx,
    client: ClientId,
    id: ClientSecretId,
    status: SecretStatus,
    at: Timestamp,
) -> Result<(), StoreError> {
    let params = (tx.env(), client, id, status.as_str(), at);
    tx.execute(SET_STATUS, params).await?;
    Ok(())
}

/// Removes a secret.
pub async fn delete_secret(
    tx: &mut Tx,
    client: ClientId,
    id: ClientSecretId,
) -> Result<(), StoreError> {
    let params = (tx.env(), client, id);
    tx.execute(DELETE_SECRET, params).await?;
    Ok(())
}

/// Notes that a secret was used.
pub async fn secret_used(tx: &mut Tx, id: ClientSecretId, at: Timestamp) -> Result<(), StoreError> {
    let params = (tx.env(), id, at);
    tx.execute(USED, params).await?;
    Ok(())
}

impl FromRow for ClientRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            kind: row.get("client_type")?,
            access_token_expiry: row.get("access_token_expiry")?,
            disallow_api_access: row.get("disallow_api_access")?,
            settings: row.get("settings")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

impl FromRow for ClientSecret {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            client: row.get("client_id")?,
            hash: row.get("secret_hash")?,
            suffix: row.get("suffix")?,
            status: row.get("status")?,
            created_by: row.get("created_by")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            expires_at: row.get("expires_at")?,
            last_used_at: row.get("last_used_at")?,
        })
    }
}
