use super::{COUNTER, Error, Organization, Selector, find, find_by_external_id, record};
use crate::{Actor, Context};
use keystead_store::{
    Query, Tx,
    entities::{counters, organizations as rows},
};
use keystead_types::OrganizationId;

/// Removes an organization for good; its external id and slug are free at once (DR-002, DR-010).
/// What other crates keep of it is theirs to remove, in the same transaction.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn delete(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    selector: &Selector,
) -> Result<OrganizationId, Error> {
    let organization = select(tx, selector).await?;
    if !rows::delete(tx, &organization).await? {
        return Err(Error::NotFound);
    }
    record::deleted(tx, ctx, actor, &organization).await?;
    counters::add(tx, COUNTER, -1).await?;
    Ok(organization.id)
}

/// Gets the organization that is meant.
pub(super) async fn select(
    db: &mut impl Query,
    selector: &Selector,
) -> Result<Organization, Error> {
    let found = match selector {
        Selector::Id(id) => find(db, *id).await?,
        Selector::ExternalId(external_id) => find_by_external_id(db, external_id).await?,
    };
    found.ok_or(Error::NotFound)
}
