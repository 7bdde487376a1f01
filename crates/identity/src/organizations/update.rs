use super::{Error, Metadata, Organization, Selector, delete::lock, record, rules};
use crate::{Actor, Context};
use keystead_store::{Tx, entities::organizations as rows};
use keystead_types::{FieldViolation, Internal};
use std::collections::BTreeMap;

/// What an update does to one field.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Patch<T> {
    /// Leaves it as it is.
    #[default]
    Keep,
    /// Removes the value.
    Clear,
    /// Stores another value.
    Set(T),
}

impl<T> Patch<T> {
    /// The value after the update.
    pub fn apply(self, old: Option<T>) -> Option<T> {
        match self {
            Self::Keep => old,
            Self::Clear => None,
            Self::Set(new) => Some(new),
        }
    }
}

/// Changes to an organization (DR-006). The region never changes.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct UpdateOrganization {
    /// New name.
    pub display_name: Option<String>,
    /// The application's own id.
    pub external_id: Patch<String>,
    /// Replaces all pairs.
    pub metadata: Option<Metadata>,
    /// Host label used in redirect templates.
    pub slug: Patch<String>,
    /// Logo on hosted pages.
    pub logo_url: Patch<String>,
    /// Features to switch; those not named stay as they are (DR-012).
    pub features: Vec<(String, bool)>,
}

/// Feature names with their aliases (DR-012).
const FEATURES: [(&str, &str); 7] = [
    ("sso", "sso"),
    ("dir_sync", "dir_sync"),
    ("scim", "dir_sync"),
    ("directory_sync", "dir_sync"),
    ("domain_verification", "domain_verification"),
    ("session_policy", "session_policy"),
    ("organization_branding", "organization_branding"),
];

/// Changes an organization. A change that changes nothing is neither stored nor told (DR-316).
///
/// # Errors
/// [`Error::NotFound`], [`Error::DuplicateExternalId`], [`Error::DuplicateSlug`], [`Error::Invalid`].
pub async fn update(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    selector: &Selector,
    changes: UpdateOrganization,
) -> Result<Organization, Error> {
    let old = lock(tx, selector).await?;
    if let Patch::Set(external_id) = &changes.external_id {
        rules::external_id(external_id).map_err(Error::Invalid)?;
    }
    if let Patch::Set(url) = &changes.logo_url {
        rules::logo_url(url).map_err(Error::Invalid)?;
    }

    let mut new = old.clone();
    if let Some(name) = changes.display_name {
        new.display_name = name;
    }
    new.external_id = changes.external_id.apply(new.external_id);
    new.slug = changes.slug.apply(new.slug);
    new.logo_url = changes.logo_url.apply(new.logo_url);
    if let Some(metadata) = changes.metadata {
        new.metadata = serde_json::to_string(&metadata).map_err(Internal::new)?;
    }
    new.features = switched(&old.features, &changes.features)?;
    new.search_text = rules::search_text(&new.display_name, new.external_id.as_deref());
    if new == old {
        return Ok(old);
    }
    new.updated_at = ctx.clock.now();
    rows::update(tx, &old, &new).await?;
    record::updated(tx, ctx, actor, &old, &new).await?;
    Ok(new)
}

fn switched(stored: &str, changes: &[(String, bool)]) -> Result<String, Error> {
    if changes.is_empty() {
        return Ok(stored.to_owned());
    }
    let mut features: BTreeMap<String, bool> =
        serde_json::from_str(stored).map_err(Internal::new)?;
    for (name, enabled) in changes {
        let known = FEATURES.iter().find(|(alias, _)| alias == name);
        let (_, canonical) = known.ok_or_else(|| Error::Invalid(unknown_feature(name)))?;
        features.insert((*canonical).to_owned(), *enabled);
    }
    Ok(serde_json::to_string(&features).map_err(Internal::new)?)
}

fn unknown_feature(name: &str) -> FieldViolation {
    FieldViolation {
        field: "settings.features".to_owned(),
        description: format!("names the unknown feature {name:?}"),
        constraint: "string.in".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DR-012
    #[test]
    fn features_are_stored_by_their_canonical_name() {
        let features = switched("{\"sso\":true}", &[("scim".to_owned(), true)]).unwrap();
        assert_eq!(features, "{\"dir_sync\":true,\"sso\":true}");
        assert!(matches!(
            switched("{}", &[("x".to_owned(), true)]),
            Err(Error::Invalid(_))
        ));
    }
}
