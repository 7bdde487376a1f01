use super::{COUNTER, Error, Organization, Selector, find_by_external_id, record};
use crate::{Actor, Context};
use keystead_store::{
    Tx,
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
    let organization = lock(tx, selector).await?;
    rows::delete(tx, &organization).await?;
    record::deleted(tx, ctx, actor, &organization).await?;
    counters::add(tx, COUNTER, -1).await?;
    Ok(organization.id)
}

/// Gets the organization that is meant; nobody else changes it until the transaction ends.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn lock(tx: &mut Tx, selector: &Selector) -> Result<Organization, Error> {
    let id = match selector {
        Selector::Id(id) => Some(*id),
        Selector::ExternalId(external_id) => {
            let found = find_by_external_id(tx, external_id).await?;
            found.map(|organization| organization.id)
        }
    };
    let id = id.ok_or(Error::NotFound)?;
    rows::lock(tx, id).await?.ok_or(Error::NotFound)
}
