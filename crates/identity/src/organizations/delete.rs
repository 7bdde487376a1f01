use super::{COUNTER, Error, Organization, Selector, find, find_by_external_id, record};
use crate::{Actor, Context};
use keystead_store::{
    Query, Tx,
    entities::{counters, organizations as rows},
};

/// Removes an organization for good; its external id and slug are free at once (DR-002, DR-010).
///
/// # Errors
/// [`Error::NotFound`].
pub async fn delete(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    selector: &Selector,
) -> Result<(), Error> {
    let organization = select(tx, selector).await?;
    if !rows::delete(tx, &organization).await? {
        return Err(Error::NotFound);
    }
    record::deleted(tx, ctx, actor, &organization).await?;
    counters::add(tx, COUNTER, -1).await?;
    Ok(())
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
