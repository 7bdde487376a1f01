//! What the user types into the hosted page (AK-304, AK-305, AK-307).

use super::{Consent, OpenLink, consent::Chosen};
use crate::{
    AgentKit, Error,
    accounts::{AccountPatch, CredentialInput, Grounds, ScopeSelection, Via, merged_config},
    error::Result,
    template::TemplateError,
};
use keystead_identity::Actor;
use keystead_types::{EnvironmentId, FieldViolation};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};

/// What was filled in.
#[derive(Clone, Default)]
pub struct FormAnswers {
    /// Fields by name.
    pub fields: BTreeMap<String, String>,
    /// Chosen scopes, when the user could choose.
    pub scope_selection: Option<ScopeSelection>,
}

/// What follows.
#[derive(Debug)]
pub enum FormEnd {
    /// The account is active.
    Connected,
    /// On to the provider.
    Provider(Consent),
    /// Some answers are wrong.
    Wrong(Vec<FieldViolation>),
}

impl AgentKit {
    /// Takes the form: stores static credentials, or account fields and scopes before the consent.
    ///
    /// # Errors
    /// [`Error::AuthRequestNotFound`] when the link was finished meanwhile.
    pub async fn submit_form(
        &self,
        env: EnvironmentId,
        link: &OpenLink,
        answers: FormAnswers,
    ) -> Result<FormEnd> {
        let redirects = link.grounds.connection.kind.is_redirect();
        if link.grounds.consents_only() {
            self.agree(env, &visitor(link), link).await?;
            return Ok(FormEnd::Connected);
        }
        let patch = patch_of(link, answers);
        let actor = visitor(link);
        let wrong = if redirects {
            wrong_before_consent(&link.grounds, &patch)
        } else {
            missing(link, &patch)
        };
        if !wrong.is_empty() {
            return Ok(FormEnd::Wrong(wrong));
        }
        let end = if redirects {
            let chosen = Chosen {
                api_config: patch.api_config,
                scope_selection: patch.scope_selection,
            };
            let consent = self.begin_consent_with(env, link, chosen).await;
            consent.map(FormEnd::Provider)
        } else {
            let (grounds, via) = (Arc::clone(&link.grounds), Via::Link(link.row.id));
            let changed = self.change_account(env, &actor, grounds, patch, via).await;
            changed.map(|_| FormEnd::Connected)
        };
        match end {
            Err(Error::Invalid(violations)) => {
                Ok(FormEnd::Wrong(violations.into_iter().map(short).collect()))
            }
            end => end,
        }
    }
}

/// Whoever has the link.
pub(super) fn visitor(link: &OpenLink) -> Actor {
    Actor {
        name: format!("link:{}", link.row.id),
        request_id: None,
    }
}

fn patch_of(link: &OpenLink, answers: FormAnswers) -> AccountPatch {
    let pattern = &link.grounds.pattern;
    let mut details = Map::new();
    let mut api_config = Map::new();
    for (name, value) in answers.fields {
        let value = value.trim_end_matches(['\r', '\n']).to_owned();
        if pattern.fields.iter().any(|field| field.field_name == name) {
            details.insert(name, Value::String(value));
        } else if pattern
            .account_fields
            .iter()
            .any(|field| field.field_name == name)
        {
            api_config.insert(name, Value::String(value.trim().to_owned()));
        }
    }
    let credential = if details.is_empty() {
        CredentialInput::Absent
    } else {
        CredentialInput::Static(details)
    };
    AccountPatch {
        credential,
        api_config,
        scope_selection: answers.scope_selection,
    }
}

/// Required account fields without a value, and values that no endpoint can be filled with
/// (AK-471). Nothing of them is stored, or the user could not correct them.
fn wrong_before_consent(grounds: &Grounds, patch: &AccountPatch) -> Vec<FieldViolation> {
    let api_config = merged_config(&grounds.account.api_config, patch.api_config.clone());
    let values = grounds.template_values_with(&api_config);
    let fields = &grounds.pattern.account_fields;
    let empty: Vec<FieldViolation> = fields
        .iter()
        .filter(|field| field.required && !values.contains_key(&field.field_name))
        .map(|field| violation(&field.field_name, "is required", "required"))
        .collect();
    if !empty.is_empty() {
        return empty;
    }
    match grounds.check_endpoints(&values) {
        Ok(()) => Vec::new(),
        Err(error) => {
            let field = match &error {
                TemplateError::Missing(name) | TemplateError::Invalid { name, .. } => name.clone(),
                _ => fields
                    .first()
                    .map_or_else(|| "domain".to_owned(), |field| field.field_name.clone()),
            };
            vec![violation(&field, &error.to_string(), "value")]
        }
    }
}

fn violation(field: &str, description: &str, constraint: &str) -> FieldViolation {
    FieldViolation {
        field: field.to_owned(),
        description: description.to_owned(),
        constraint: constraint.to_owned(),
    }
}

/// Required fields that neither the form nor the vault has.
fn missing(link: &OpenLink, patch: &AccountPatch) -> Vec<FieldViolation> {
    let sent = match &patch.credential {
        CredentialInput::Static(details) => details.clone(),
        _ => Map::new(),
    };
    let stored = &link.grounds.credential.details;
    let filled = |name: &str| {
        [&sent, stored].iter().any(|map| {
            map.get(name)
                .is_some_and(|value| value.as_str() != Some(""))
        })
    };
    let pattern = &link.grounds.pattern;
    pattern
        .fields
        .iter()
        .filter(|field| field.required && !filled(&field.field_name))
        .filter(|field| !field.options.iter().any(|option| option.default))
        .filter(|field| {
            pattern
                .auth_field_mutations
                .get(&field.field_name)
                .is_none_or(|mutation| mutation.default.is_empty())
        })
        .map(|field| violation(&field.field_name, "is required", "required"))
        .collect()
}

/// The page knows fields by their own name.
fn short(violation: FieldViolation) -> FieldViolation {
    let field = violation
        .field
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_owned();
    FieldViolation { field, ..violation }
}
