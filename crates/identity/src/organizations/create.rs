use super::{COUNTER, Error, Metadata, Organization, record, rules};
use crate::{Actor, Context};
use keystead_store::{
    Tx,
    entities::{Region, counters, organizations as rows},
};
use keystead_types::Internal;

/// A new organization, as asked for (DR-001).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateOrganization {
    /// Name shown to people; 1 to 200 characters, checked by the contract.
    pub display_name: String,
    /// Region; the workspace's own when absent.
    pub region: Option<Region>,
    /// The application's own id.
    pub external_id: Option<String>,
    /// Key and value pairs.
    pub metadata: Metadata,
    /// Host label used in redirect templates.
    pub slug: Option<String>,
    /// Logo on hosted pages.
    pub logo_url: Option<String>,
}

/// Adds an organization, counts it and tells it to event receivers.
///
/// # Errors
/// [`Error::DuplicateExternalId`], [`Error::DuplicateSlug`], [`Error::Invalid`].
pub async fn create(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    command: CreateOrganization,
) -> Result<Organization, Error> {
    if let Some(external_id) = &command.external_id {
        rules::external_id(external_id).map_err(Error::Invalid)?;
    }
    let logo_url = command.logo_url.filter(|url| !url.is_empty());
    if let Some(url) = &logo_url {
        rules::logo_url(url).map_err(Error::Invalid)?;
    }
    let now = ctx.clock.now();
    let organization = Organization {
        id: ctx.ids.next(&*ctx.clock),
        region: command.region.unwrap_or(Region::Us),
        search_text: rules::search_text(&command.display_name, command.external_id.as_deref()),
        display_name: command.display_name,
        external_id: command.external_id,
        slug: command.slug,
        logo_url,
        metadata: serde_json::to_string(&command.metadata).map_err(Internal::new)?,
        features: "{}".to_owned(),
        created_at: now,
        updated_at: now,
    };
    rows::insert(tx, &organization).await?;
    record::created(tx, ctx, actor, &organization).await?;
    // Last, because it is the one row that all creations of an environment share.
    counters::add(tx, COUNTER, 1).await?;
    Ok(organization)
}
