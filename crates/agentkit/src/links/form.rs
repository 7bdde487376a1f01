//! What the user types into the hosted page (AK-304, AK-305, AK-307).

use super::{Consent, OpenLink};
use crate::{
    AgentKit, Error,
    accounts::{AccountKey, AccountPatch, CredentialInput, ScopeSelection, void_flows},
    error::Result,
};
use keystead_identity::Actor;
use keystead_store::entities::auth_links;
use keystead_types::{EnvironmentId, FieldViolation};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

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
        let patch = self.patch_of(link, answers);
        let actor = Actor {
            name: format!("link:{}", link.row.id),
            request_id: None,
        };
        let key = AccountKey {
            id: Some(link.grounds.account.id.to_string()),
            ..AccountKey::default()
        };
        if !redirects {
            // The link is consumed first, so that it can never be used twice; a wrong answer gives
            // it back because nothing was committed.
            let missing = missing(link, &patch);
            if !missing.is_empty() {
                return Ok(FormEnd::Wrong(missing));
            }
        }
        let grounds = match self.update_account(env, &actor, key, patch).await {
            Ok(grounds) => grounds,
            Err(Error::Invalid(violations)) => return Ok(FormEnd::Wrong(violations.into_iter().map(short).collect())),
            Err(other) => return Err(other),
        };
        if redirects {
            let link = OpenLink {
                row: link.row.clone(),
                grounds,
            };
            return Ok(FormEnd::Provider(self.begin_consent(env, &link).await?));
        }
        let now = self.ctx().clock.now();
        let mut tx = self.ctx().db.begin(env).await?;
        if !auth_links::complete_link(&mut tx, link.row.id, now).await? {
            return Err(Error::AuthRequestNotFound);
        }
        void_flows(&mut tx, grounds.account.id, now).await?;
        tx.commit().await?;
        Ok(FormEnd::Connected)
    }

    fn patch_of(&self, link: &OpenLink, answers: FormAnswers) -> AccountPatch {
        let pattern = &link.grounds.pattern;
        let mut details = Map::new();
        let mut api_config = Map::new();
        for (name, value) in answers.fields {
            let value = value.trim_end_matches(['\r', '\n']).to_owned();
            if pattern.fields.iter().any(|field| field.field_name == name) {
                details.insert(name, Value::String(value));
            } else if pattern.account_fields.iter().any(|field| field.field_name == name) {
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
}

/// Required fields that neither the form nor the vault has.
fn missing(link: &OpenLink, patch: &AccountPatch) -> Vec<FieldViolation> {
    let sent = match &patch.credential {
        CredentialInput::Static(details) => details.clone(),
        _ => Map::new(),
    };
    let stored = &link.grounds.credential.details;
    let filled = |name: &str| {
        [&sent, stored]
            .iter()
            .any(|map| map.get(name).is_some_and(|value| value.as_str() != Some("")))
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
        .map(|field| FieldViolation {
            field: field.field_name.clone(),
            description: "is required".to_owned(),
            constraint: "required".to_owned(),
        })
        .collect()
}

/// The page knows fields by their own name.
fn short(violation: FieldViolation) -> FieldViolation {
    let field = violation.field.rsplit('.').next().unwrap_or_default().to_owned();
    FieldViolation { field, ..violation }
}
