use super::{COUNTER, Error, Organization, rules::Pattern};
use crate::Context;
use keystead_store::{
    Query, SortKey,
    entities::{counters, organizations as rows},
};
use keystead_types::{EnvironmentId, Id, OrganizationId, Page, PageRequest};

/// Above this many candidates a search walks the list instead of reading every candidate, and
/// stops counting.
const MANY_CANDIDATES: i64 = 2_000;

/// Finds an organization.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(db: &mut impl Query, id: OrganizationId) -> Result<Option<Organization>, Error> {
    Ok(rows::find(db, id).await?)
}

/// Finds an organization by the application's own id.
///
/// # Errors
/// When the database cannot be read.
pub async fn find_by_external_id(
    db: &mut impl Query,
    external_id: &str,
) -> Result<Option<Organization>, Error> {
    Ok(rows::find_by_external_id(db, external_id).await?)
}

/// Gets an organization.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &mut impl Query, id: OrganizationId) -> Result<Organization, Error> {
    find(db, id).await?.ok_or(Error::NotFound)
}

/// Lists the organizations of an environment, newest first (DR-008).
///
/// # Errors
/// [`Error::InvalidPageToken`].
pub async fn list(
    ctx: &Context,
    env: EnvironmentId,
    page: &PageRequest,
    external_id: Option<&str>,
) -> Result<Page<Organization>, Error> {
    let filter = external_id.unwrap_or_default();
    let window = ctx.window(page, "organizations", env, filter.as_bytes())?;
    let mut reader = ctx.db.read(env);
    if let Some(external_id) = external_id {
        let items: Vec<_> = find_by_external_id(&mut reader, external_id)
            .await?
            .into_iter()
            .collect();
        let total_size = items.len() as u64;
        return Ok(Page {
            items,
            total_size,
            next_page_token: String::new(),
            prev_page_token: String::new(),
        });
    }
    let items = rows::list(&mut reader, &window).await?;
    let total_size = counters::get(&mut reader, COUNTER).await?;
    Ok(window.finish(items, total_size, place))
}

/// Searches name, external id and id for a part of text, newest first (DR-009).
///
/// No search reads the whole table: rare texts are found through an index of suffixes, frequent
/// ones by walking from the newest organization until the page is full. `total_size` stops
/// counting at 2,000. Pages lead forward only.
///
/// # Errors
/// [`Error::InvalidPageToken`].
pub async fn search(
    ctx: &Context,
    env: EnvironmentId,
    page: &PageRequest,
    query: &str,
) -> Result<Page<Organization>, Error> {
    let window = ctx.window(page, "organizations:search", env, query.as_bytes())?;
    let pattern = Pattern::new(query);
    let keys = rows::SearchKeys {
        from: &pattern.from,
        below: &pattern.below,
        like: &pattern.like,
        ids: (&pattern.ids.0, &pattern.ids.1),
    };
    let mut reader = ctx.db.read(env);
    let candidates = rows::count_candidates(&mut reader, keys, MANY_CANDIDATES).await?;
    let items = if candidates < MANY_CANDIDATES {
        rows::search_few(&mut reader, keys, &window).await?
    } else {
        rows::search_many(&mut reader, keys, &window).await?
    };
    let page = window.finish(items, u64::try_from(candidates).unwrap_or(0), place);
    Ok(Page {
        prev_page_token: String::new(),
        ..page
    })
}

fn place(organization: &Organization) -> (SortKey, u64) {
    (
        SortKey::Int(organization.created_at.as_micros()),
        organization.id.number(),
    )
}
