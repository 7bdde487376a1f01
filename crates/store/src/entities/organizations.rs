//! Organizations and the index that finds them by a part of their name.

use super::Region;
use crate::{Execute, Fetch, FromRow, Query, Row, Sql, StoreError, Tx, Window, sql};
use keystead_types::{OrganizationId, Timestamp};

/// A customer of the application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Name shown to people.
    pub display_name: String,
    /// Region, fixed at creation.
    pub region: Region,
    /// The application's own id of it; unique in the environment.
    pub external_id: Option<String>,
    /// Host label used in redirect templates; unique in the environment.
    pub slug: Option<String>,
    /// Logo on hosted pages.
    pub logo_url: Option<String>,
    /// Key and value pairs, as a JSON object.
    pub metadata: String,
    /// Features that were switched, as a JSON object of name and boolean.
    pub features: String,
    /// What the search runs over.
    pub search_text: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Name of the unique index on external ids.
pub const UNIQUE_EXTERNAL_ID: &str = "organizations_external_id";
/// Name of the unique index on slugs.
pub const UNIQUE_SLUG: &str = "organizations_slug";

const INSERT: Sql = sql!(
    "organizations.insert",
    "INSERT INTO organizations (env_id, id, display_name, region_code, external_id, slug, logo_url,
         metadata, features, search_text, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
);
const UPDATE: Sql = sql!(
    "organizations.update",
    "UPDATE organizations SET display_name = $3, external_id = $4, slug = $5, logo_url = $6,
         metadata = $7, features = $8, search_text = $9, updated_at = $10
     WHERE env_id = $1 AND id = $2"
);
const DELETE: Sql = sql!(
    "organizations.delete",
    "DELETE FROM organizations WHERE env_id = $1 AND id = $2"
);
const BY_ID: Sql = sql!(
    "organizations.by_id",
    "SELECT * FROM organizations WHERE env_id = $1 AND id = $2"
);
/// Changes nothing, but holds the row until the transaction ends.
const LOCK: Sql = sql!(
    "organizations.lock",
    "UPDATE organizations SET updated_at = updated_at WHERE env_id = $1 AND id = $2 RETURNING *"
);
const BY_EXTERNAL_ID: Sql = sql!(
    "organizations.by_external_id",
    "SELECT * FROM organizations WHERE env_id = $1 AND external_id = $2"
);
const NEXT: Sql = sql!(
    "organizations.next",
    "SELECT * FROM organizations
     WHERE env_id = $1 AND (created_at, id) < ($2, $3)
     ORDER BY created_at DESC, id DESC LIMIT $4"
);
const PREVIOUS: Sql = sql!(
    "organizations.previous",
    "SELECT * FROM organizations
     WHERE env_id = $1 AND (created_at, id) > ($2, $3)
     ORDER BY created_at, id LIMIT $4"
);

// The suffixes are computed by the database from the search text, three characters at least.
const INDEX: Sql = sql!(
    "organizations.index",
    "INSERT INTO organization_suffixes (env_id, suffix, organization_id)
     WITH RECURSIVE positions (n) AS (
         SELECT 1 UNION ALL SELECT n + 1 FROM positions WHERE n + 3 <= length(CAST($3 AS TEXT)))
     SELECT DISTINCT CAST($1 AS TEXT), substr(CAST($3 AS TEXT), n, 16), CAST($2 AS TEXT) FROM positions"
);
const UNINDEX: Sql = sql!(
    "organizations.unindex",
    "DELETE FROM organization_suffixes WHERE env_id = $1 AND organization_id = $2 AND suffix IN (
         WITH RECURSIVE positions (n) AS (
             SELECT 1 UNION ALL SELECT n + 1 FROM positions WHERE n + 3 <= length(CAST($3 AS TEXT)))
         SELECT substr(CAST($3 AS TEXT), n, 16) FROM positions)"
);
// Counting stops at the limit, so it is cheap for a frequent text too.
const CANDIDATES: Sql = sql!(
    "organizations.candidates",
    "SELECT count(*) AS found FROM (
         SELECT organization_id FROM (
             SELECT organization_id FROM organization_suffixes
             WHERE env_id = $1 AND suffix >= $2 AND suffix < $3 LIMIT $6) AS named
         UNION
         SELECT id FROM (
             SELECT id FROM organizations WHERE env_id = $1 AND id >= $4 AND id < $5 LIMIT $6) AS numbered
     ) AS candidates"
);
// Few candidates: read each and sort. `+ 0` keeps both engines from walking the age index instead.
const SEARCH_FEW: Sql = sql!(
    "organizations.search_few",
    "SELECT organizations.* FROM (
         SELECT organization_id FROM organization_suffixes
         WHERE env_id = $1 AND suffix >= $2 AND suffix < $3
         UNION
         SELECT id FROM organizations WHERE env_id = $1 AND id >= $4 AND id < $5) AS candidates
     JOIN organizations ON organizations.env_id = $1 AND organizations.id = candidates.organization_id
     WHERE (search_text LIKE $6 ESCAPE '\\' OR (id >= $4 AND id < $5))
       AND (created_at + 0 < $7 OR (created_at + 0 = $7 AND id < $8))
     ORDER BY created_at + 0 DESC, id DESC LIMIT $9"
);
// Many candidates: walk from the newest, which meets a page of matches soon.
const SEARCH_MANY: Sql = sql!(
    "organizations.search_many",
    "SELECT * FROM organizations
     WHERE env_id = $1 AND (created_at, id) < ($5, $6)
       AND (search_text LIKE $4 ESCAPE '\\' OR (id >= $2 AND id < $3))
     ORDER BY created_at DESC, id DESC LIMIT $7"
);

pub(crate) const STATEMENTS: &[Sql] = &[
    INSERT,
    UPDATE,
    DELETE,
    BY_ID,
    LOCK,
    BY_EXTERNAL_ID,
    NEXT,
    PREVIOUS,
    INDEX,
    UNINDEX,
    CANDIDATES,
    SEARCH_FEW,
    SEARCH_MANY,
];

/// Adds an organization and its search index.
///
/// # Errors
/// A unique violation of [`UNIQUE_EXTERNAL_ID`] or [`UNIQUE_SLUG`].
pub async fn insert(tx: &mut Tx, new: &Organization) -> Result<(), StoreError> {
    let env = tx.env();
    tx.execute(
        INSERT,
        (
            env,
            new.id,
            &new.display_name,
            new.region.as_str(),
            new.external_id.as_deref(),
            new.slug.as_deref(),
            new.logo_url.as_deref(),
            &new.metadata,
            &new.features,
            &new.search_text,
            new.created_at,
            new.updated_at,
        ),
    )
    .await?;
    tx.execute(INDEX, (env, new.id, &new.search_text)).await?;
    Ok(())
}

/// Replaces `old`, which is locked, with `new` (the same organization) and brings the index in line.
///
/// # Errors
/// As [`insert`].
pub async fn update(tx: &mut Tx, old: &Organization, new: &Organization) -> Result<(), StoreError> {
    let env = tx.env();
    tx.execute(
        UPDATE,
        (
            env,
            new.id,
            &new.display_name,
            new.external_id.as_deref(),
            new.slug.as_deref(),
            new.logo_url.as_deref(),
            &new.metadata,
            &new.features,
            &new.search_text,
            new.updated_at,
        ),
    )
    .await?;
    if old.search_text != new.search_text {
        tx.execute(UNINDEX, (env, old.id, &old.search_text)).await?;
        tx.execute(INDEX, (env, new.id, &new.search_text)).await?;
    }
    Ok(())
}

/// Removes a locked organization and its index.
pub async fn delete(tx: &mut Tx, organization: &Organization) -> Result<(), StoreError> {
    let env = tx.env();
    tx.execute(UNINDEX, (env, organization.id, &organization.search_text))
        .await?;
    tx.execute(DELETE, (env, organization.id)).await?;
    Ok(())
}

/// Finds one by id.
pub async fn find(
    db: &mut impl Query,
    id: OrganizationId,
) -> Result<Option<Organization>, StoreError> {
    db.fetch_optional_as(BY_ID, (db.env(), id)).await
}

/// Finds one, which nobody else changes until the transaction ends.
pub async fn lock(tx: &mut Tx, id: OrganizationId) -> Result<Option<Organization>, StoreError> {
    tx.fetch_optional_as(LOCK, (tx.env(), id)).await
}

/// Finds one by the application's own id.
pub async fn find_by_external_id(
    db: &mut impl Query,
    external_id: &str,
) -> Result<Option<Organization>, StoreError> {
    db.fetch_optional_as(BY_EXTERNAL_ID, (db.env(), external_id))
        .await
}

/// One page, newest first; one row more when there is another.
pub async fn list(
    db: &mut impl Query,
    window: &Window<'_>,
) -> Result<Vec<Organization>, StoreError> {
    let env = db.env();
    let from = (
        env,
        window.key(i64::MAX),
        window.id::<OrganizationId>(),
        window.limit(),
    );
    db.fetch_all_as(window.choose(NEXT, PREVIOUS), from).await
}

/// What a search looks for.
#[derive(Clone, Copy, Debug)]
pub struct SearchKeys<'a> {
    /// Every matching suffix is at least this …
    pub from: &'a str,
    /// … and less than this.
    pub below: &'a str,
    /// `LIKE` pattern, escaped with `\`.
    pub like: &'a str,
    /// Ids from the first up to the second match too.
    pub ids: (&'a str, &'a str),
}

/// How many organizations may match; counting stops at `limit`.
pub async fn count_candidates(
    db: &mut impl Query,
    keys: SearchKeys<'_>,
    limit: i64,
) -> Result<i64, StoreError> {
    let (first_id, below_id) = keys.ids;
    let row = db
        .fetch_optional(
            CANDIDATES,
            (db.env(), keys.from, keys.below, first_id, below_id, limit),
        )
        .await?;
    row.map_or(Ok(0), |row| row.get("found"))
}

/// One page of a search, newest first, when the candidates are few: cost grows with them, not with the table.
pub async fn search_few(
    db: &mut impl Query,
    keys: SearchKeys<'_>,
    window: &Window<'_>,
) -> Result<Vec<Organization>, StoreError> {
    let (first_id, below_id) = keys.ids;
    let (at, id, limit) = (
        window.key(i64::MAX),
        window.id::<OrganizationId>(),
        window.limit(),
    );
    let params = (
        db.env(),
        keys.from,
        keys.below,
        first_id,
        below_id,
        keys.like,
        at,
        id,
        limit,
    );
    db.fetch_all_as(SEARCH_FEW, params).await
}

/// One page of a search when the candidates are many: walks from the newest and stops at a page of matches.
pub async fn search_many(
    db: &mut impl Query,
    keys: SearchKeys<'_>,
    window: &Window<'_>,
) -> Result<Vec<Organization>, StoreError> {
    let (first_id, below_id) = keys.ids;
    let (at, id, limit) = (
        window.key(i64::MAX),
        window.id::<OrganizationId>(),
        window.limit(),
    );
    let params = (db.env(), first_id, below_id, keys.like, at, id, limit);
    db.fetch_all_as(SEARCH_MANY, params).await
}

impl FromRow for Organization {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            display_name: row.get("display_name")?,
            region: row.get("region_code")?,
            external_id: row.get("external_id")?,
            slug: row.get("slug")?,
            logo_url: row.get("logo_url")?,
            metadata: row.get("metadata")?,
            features: row.get("features")?,
            search_text: row.get("search_text")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}
