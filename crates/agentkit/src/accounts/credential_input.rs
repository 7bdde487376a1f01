//! Credentials that the developer or the user hands in (AK-202..AK-204).

use crate::{
    Error,
    connections::Connection,
    error::Result,
    providers::{AuthKind, AuthPattern, InputType},
    vault::Credential,
};
use keystead_types::FieldViolation;
use serde_json::{Map, Value};
use std::fmt;

/// What was sent as `authorization_details`.
#[derive(Clone, Default)]
pub enum CredentialInput {
    /// Nothing, or an empty message.
    #[default]
    Absent,
    /// Tokens of an OAuth grant.
    Oauth {
        /// Access token.
        access_token: String,
        /// Refresh token.
        refresh_token: String,
        /// Granted scopes.
        scopes: Vec<String>,
        /// Host at the provider.
        domain: String,
    },
    /// What a user types in.
    Static(Map<String, Value>),
    /// User of a Google domain-wide delegation.
    GoogleDwd {
        /// E-mail of the delegated user.
        subject: String,
    },
    /// AWS federation (AK-229).
    TrustedIdp {
        /// Database user that AWS knows the account by.
        db_user: String,
    },
}

impl fmt::Debug for CredentialInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Oauth { .. } => "Oauth(…)",
            Self::Static(_) => "Static(…)",
            Self::GoogleDwd { .. } => "GoogleDwd",
            Self::TrustedIdp { .. } => "TrustedIdp",
        })
    }
}

impl CredentialInput {
    /// Whether nothing usable was sent, which means "no credential yet" for every kind (AK-202).
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Oauth {
                access_token,
                refresh_token,
                ..
            } => access_token.is_empty() && refresh_token.is_empty(),
            Self::Static(details) => details.is_empty(),
            Self::GoogleDwd { subject } => subject.is_empty(),
            Self::TrustedIdp { db_user } => db_user.is_empty(),
        }
    }

    /// Whether it replaces an access token but not the refresh token that belongs to it.
    pub(crate) fn keeps_refresh_token(&self) -> bool {
        matches!(self, Self::Oauth { refresh_token, .. } if refresh_token.is_empty())
            && !self.is_absent()
    }

    /// Puts the input over the stored credential; empty texts do not erase (AK-211).
    ///
    /// # Errors
    /// [`Error::AuthTypeMismatch`], [`Error::Invalid`] naming missing fields (AK-204).
    pub(crate) fn merged(
        self,
        connection: &Connection,
        pattern: &AuthPattern,
        stored: &Credential,
    ) -> Result<Credential> {
        let mut credential = stored.clone();
        match (self, connection.kind) {
            (
                Self::Oauth {
                    access_token,
                    refresh_token,
                    scopes,
                    domain,
                },
                AuthKind::Oauth | AuthKind::SmartFhir | AuthKind::TrelloOauth1,
            ) => {
                // Whose tokens these are is not known.
                credential.provider_subject.clear();
                set(&mut credential.access_token, access_token);
                let another_grant = !refresh_token.is_empty();
                if another_grant {
                    credential.refresh_token = refresh_token;
                    credential.rotates = None;
                }
                set(&mut credential.domain, domain);
                if !scopes.is_empty() {
                    credential.scopes = scopes;
                }
                let unknown = credential.client.is_none() && !credential.refresh_token.is_empty();
                // SECURITY: a refresh token is never sent to the client or endpoint of another grant.
                if another_grant || unknown {
                    credential.client = connection.token_uri(Some(pattern)).map(|uri| {
                        connection.grant_client(connection.in_tenant(uri), Some(pattern))
                    });
                }
            }
            (Self::Static(details), kind) if !kind.is_redirect() && kind != AuthKind::GoogleDwd => {
                for (name, value) in sendable(unnested(details), pattern)? {
                    if value.as_str() != Some("") && !value.is_null() {
                        credential.details.insert(name, value);
                    }
                }
                // What was minted from the former values must not be used any more.
                credential.access_token.clear();
                credential.token_secret.clear();
                require_fields(pattern, &credential)?;
            }
            (Self::GoogleDwd { subject }, AuthKind::GoogleDwd) => {
                credential.subject = subject;
                credential.access_token.clear();
            }
            (Self::TrustedIdp { db_user }, AuthKind::TrustedIdp) => {
                credential
                    .details
                    .insert("db_user".to_owned(), Value::String(db_user));
                credential.access_token.clear();
                credential.token_secret.clear();
                require_fields(pattern, &credential)?;
            }
            (_, kind) => {
                return Err(Error::AuthTypeMismatch {
                    expected: kind.as_str(),
                });
            }
        }
        Ok(credential)
    }
}

fn set(stored: &mut String, sent: String) {
    if !sent.is_empty() {
        *stored = sent;
    }
}

/// Callers that follow the wire shape through the Python client send one level too many.
pub(crate) fn unnested(mut details: Map<String, Value>) -> Map<String, Value> {
    if details.len() == 1
        && let Some(Value::Object(inner)) = details.get_mut("details")
    {
        return std::mem::take(inner);
    }
    details
}

/// What is sent to the provider as it was typed, without the white space around that comes with
/// copying. Key material of several lines stays as it is: it is never sent itself.
///
/// # Errors
/// [`Error::Invalid`] naming what no header can hold.
fn sendable(mut details: Map<String, Value>, pattern: &AuthPattern) -> Result<Map<String, Value>> {
    if !matches!(
        pattern.kind,
        AuthKind::Bearer | AuthKind::ApiKey | AuthKind::Basic
    ) {
        return Ok(details);
    }
    let has_lines = |name: &str| {
        let mut fields = pattern.fields.iter();
        fields.any(|field| field.field_name == name && field.input_type == InputType::Textarea)
    };
    let mut violations = Vec::new();
    for (name, value) in &mut details {
        let Value::String(text) = value else { continue };
        if has_lines(name) {
            continue;
        }
        let trimmed = text.trim();
        if trimmed.chars().any(char::is_control) {
            violations.push(violation(
                name,
                "must be one line without control characters",
                "value",
            ));
        } else if trimmed.len() < text.len() {
            *text = trimmed.to_owned();
        }
    }
    if violations.is_empty() {
        Ok(details)
    } else {
        Err(Error::Invalid(violations))
    }
}

fn violation(name: &str, description: &str, constraint: &str) -> FieldViolation {
    FieldViolation {
        field: format!("authorization_details.static_auth.details.{name}"),
        description: description.to_owned(),
        constraint: constraint.to_owned(),
    }
}

fn require_fields(pattern: &AuthPattern, credential: &Credential) -> Result<()> {
    let mut violations = Vec::new();
    for field in &pattern.fields {
        let has_default = field.options.iter().any(|option| option.default)
            || pattern
                .auth_field_mutations
                .get(&field.field_name)
                .is_some_and(|mutation| !mutation.default.is_empty());
        let path_value = credential
            .details
            .get("path_variables")
            .and_then(|values| values.get(&field.field_name));
        let given = credential
            .details
            .get(&field.field_name)
            .or(path_value)
            .is_some();
        if field.required && !given && !has_default {
            violations.push(violation(
                &field.field_name,
                "is required by the provider",
                "required",
            ));
        }
    }
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(violations))
    }
}
