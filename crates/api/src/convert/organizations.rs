use super::{region, region_code, time, total};
use keystead_identity::organizations::{
    self, CreateOrganization, Metadata, Organization, Patch, Selector, UpdateOrganization,
};
use keystead_proto::v1::organizations as pb;
use keystead_types::{ErrorCode, Internal, Page};
use std::collections::HashMap;

/// What a create request asks for.
pub(crate) fn create(message: pb::CreateOrganization) -> CreateOrganization {
    CreateOrganization {
        display_name: message.display_name,
        region: region(message.region_code),
        external_id: message.external_id.filter(|value| !value.is_empty()),
        metadata: sorted(message.metadata),
        slug: message.slug,
        logo_url: message.logo_url,
    }
}

/// What an update request asks for. Without a mask the present fields change; with one, exactly
/// the fields it names, and those that are absent are cleared (DR-006).
///
/// # Errors
/// The name of a field in the mask that an organization does not have.
pub(crate) fn update(
    message: pb::UpdateOrganization,
    mask: Option<&[String]>,
) -> Result<UpdateOrganization, String> {
    let Some(mask) = mask else {
        let metadata = (!message.metadata.is_empty()).then(|| sorted(message.metadata));
        return Ok(UpdateOrganization {
            display_name: message.display_name,
            external_id: present(message.external_id),
            metadata,
            slug: present(message.slug),
            logo_url: present(message.logo_url),
            features: Vec::new(),
        });
    };
    let mut changes = UpdateOrganization::default();
    for path in mask {
        let path = path.strip_prefix("organization.").unwrap_or(path);
        match path {
            "display_name" => changes.display_name.clone_from(&message.display_name),
            "external_id" => changes.external_id = masked(message.external_id.clone()),
            "metadata" => changes.metadata = Some(sorted(message.metadata.clone())),
            "slug" => changes.slug = masked(message.slug.clone()),
            "logo_url" => changes.logo_url = masked(message.logo_url.clone()),
            unknown => return Err(unknown.to_owned()),
        }
    }
    Ok(changes)
}

/// Absent keeps, empty clears.
fn present(field: Option<String>) -> Patch<String> {
    field.map_or(Patch::Keep, set_or_clear)
}

/// Absent and empty clear.
fn masked(field: Option<String>) -> Patch<String> {
    field.map_or(Patch::Clear, set_or_clear)
}

fn set_or_clear(value: String) -> Patch<String> {
    if value.is_empty() {
        Patch::Clear
    } else {
        Patch::Set(value)
    }
}

fn sorted(metadata: HashMap<String, String>) -> Metadata {
    metadata.into_iter().collect()
}

/// An id that cannot be one of ours is the id of nothing.
pub(crate) fn by_id(id: &str) -> Result<Selector, organizations::Error> {
    id.parse()
        .map(Selector::Id)
        .map_err(|_| organizations::Error::NotFound)
}

/// An organization on the wire.
pub(crate) fn organization(organization: Organization) -> Result<pb::Organization, Internal> {
    let features = organizations::features(&organization)?;
    let features = features
        .into_iter()
        .map(|(name, enabled)| pb::OrganizationSettingsFeature { name, enabled });
    Ok(pb::Organization {
        id: organization.id.to_string(),
        create_time: time(organization.created_at),
        update_time: time(organization.updated_at),
        metadata: organizations::metadata(&organization)?
            .into_iter()
            .collect(),
        display_name: organization.display_name,
        region_code: region_code(organization.region),
        external_id: organization.external_id,
        settings: Some(pb::OrganizationSettings {
            features: features.collect(),
        }),
        slug: organization.slug,
        logo_url: organization.logo_url,
    })
}

/// Rows, length of the list, next token, previous token.
pub(crate) type Listed = (Vec<pb::Organization>, u32, String, String);

/// A page of organizations on the wire.
pub(crate) fn page(page: Page<Organization>) -> Result<Listed, Internal> {
    let rows = page
        .items
        .into_iter()
        .map(organization)
        .collect::<Result<_, _>>()?;
    Ok((
        rows,
        total(page.total_size),
        page.next_page_token,
        page.prev_page_token,
    ))
}

/// The text of a refused mask.
pub(crate) fn unknown_mask_field(name: &str) -> crate::status::Plain {
    crate::status::Plain::new(
        ErrorCode::InvalidArgument,
        format!("update_mask names the unknown field {name:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(slug: Option<&str>) -> pb::UpdateOrganization {
        pb::UpdateOrganization {
            slug: slug.map(str::to_owned),
            ..pb::UpdateOrganization::default()
        }
    }

    /// Part of DR-004, DR-006
    #[test]
    fn presence_decides_and_a_mask_clears() {
        assert_eq!(update(message(None), None).unwrap().slug, Patch::Keep);
        assert_eq!(update(message(Some("")), None).unwrap().slug, Patch::Clear);
        assert_eq!(
            update(message(Some("a")), None).unwrap().slug,
            Patch::Set("a".to_owned())
        );
        let mask = ["slug".to_owned()];
        assert_eq!(
            update(message(None), Some(&mask)).unwrap().slug,
            Patch::Clear
        );
        assert_eq!(
            update(message(None), None).unwrap().metadata,
            None,
            "an empty map leaves it alone"
        );
        let mask = ["metadata".to_owned()];
        assert_eq!(
            update(message(None), Some(&mask)).unwrap().metadata,
            Some(Metadata::new())
        );
        let unmasked = update(message(Some("a")), Some(&mask)).unwrap();
        assert_eq!(
            unmasked.slug,
            Patch::Keep,
            "a field outside the mask is ignored"
        );
        assert_eq!(
            update(message(None), Some(&["region_code".to_owned()])),
            Err("region_code".to_owned())
        );
    }
}
