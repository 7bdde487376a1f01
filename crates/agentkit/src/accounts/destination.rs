//! Where a credential goes, and what a link may change of it (AK-305, AK-471).

use super::{AccountPatch, CredentialInput, Grounds, credential_input::unnested, merged_config};
use crate::{Error, connections::RequestPolicy, error::Result, template};
use keystead_types::{AuthRequestId, FieldViolation};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// On whose word an account is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Via {
    /// The developer's or a member's.
    Api,
    /// Whoever has the link, which the change uses up.
    Link(AuthRequestId),
}

/// What the user must type in again.
const AGAIN: &str = "enter it again: what you changed decides where it is sent";

/// Refuses a change that would send what is stored to another place than before.
///
/// SECURITY: whoever has a link could name a host of his own and leave the secret empty, which means
/// "as stored". He has to know the secret that goes there.
///
/// # Errors
/// [`Error::Invalid`] naming each stored field that was not sent.
pub(super) fn require_secrets_again(grounds: &Grounds, patch: &AccountPatch) -> Result<()> {
    if grounds.row.credential.is_none() || !changes_destination(grounds, patch) {
        return Ok(());
    }
    let sent = sent_details(patch);
    let filled = |map: &Map<String, Value>, name: &str| {
        map.get(name)
            .is_some_and(|value| !value.is_null() && value.as_str() != Some(""))
    };
    let fields = &grounds.pattern.fields;
    let violation = |name: &str| FieldViolation {
        field: format!("authorization_details.static_auth.details.{name}"),
        description: AGAIN.to_owned(),
        constraint: "required".to_owned(),
    };
    let mut violations: Vec<FieldViolation> = fields
        .iter()
        .map(|field| field.field_name.as_str())
        .filter(|name| filled(&grounds.credential.details, name) && !filled(&sent, name))
        .map(violation)
        .collect();
    // Nothing that could be typed in again is sent, so what is stored would go there.
    if violations.is_empty() && !fields.iter().any(|field| filled(&sent, &field.field_name)) {
        violations.push(violation(
            fields.first().map_or("", |field| &field.field_name),
        ));
    }
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(violations))
    }
}

fn sent_details(patch: &AccountPatch) -> Map<String, Value> {
    match &patch.credential {
        CredentialInput::Static(details) => unnested(details.clone()),
        _ => Map::new(),
    }
}

/// Whether a value of a URL or header template changes.
fn changes_destination(grounds: &Grounds, patch: &AccountPatch) -> bool {
    let api_config = merged_config(&grounds.account.api_config, patch.api_config.clone());
    let mut after = grounds.clone();
    for (name, value) in sent_details(patch) {
        if !value.is_null() && value.as_str() != Some("") {
            after.credential.details.insert(name, value);
        }
    }
    let (before, after) = (
        grounds.template_values(),
        after.template_values_with(&api_config),
    );
    template_variables(grounds)
        .iter()
        .any(|name| before.get(name) != after.get(name))
}

/// Variables of everything that a call with the account, or a request for its tokens, is made of.
fn template_variables(grounds: &Grounds) -> BTreeSet<String> {
    let (connection, pattern) = (&grounds.connection, Some(&grounds.pattern));
    let oauth = grounds.pattern.oauth_config.as_ref();
    let urls = [
        connection.authorize_uri(pattern),
        connection.token_uri(pattern),
        connection.user_info_uri(pattern),
        oauth.and_then(|oauth| oauth.refresh_uri.as_deref()),
        oauth.and_then(|oauth| oauth.revocation_uri.as_deref()),
    ];
    let mut texts: Vec<String> = urls.into_iter().flatten().map(str::to_owned).collect();
    texts.push(grounds.base_url().into_owned());
    texts.extend(grounds.provider.default_headers().into_values());
    let policy = RequestPolicy::of(&connection.settings, &grounds.account.api_config);
    texts.extend(policy.base_headers.into_values());
    texts
        .iter()
        .flat_map(|text| template::variables(text))
        .map(str::to_owned)
        .collect()
}
