use crate::vault::ExchangeError;
use keystead_oauth::TokenFailure;
use keystead_types::Secret;

/// Why a code could not be exchanged; shows what is safe for logs and pages.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct ExchangeFailure {
    reason: String,
    /// SECURITY: the provider's own words, which could quote or pretend anything: only for the
    /// account's history, and only where the environment wants them (DB-123).
    pub(super) description: Option<Secret<String>>,
}

impl ExchangeFailure {
    pub(super) const fn because(reason: String) -> Self {
        Self {
            reason,
            description: None,
        }
    }

    /// `secrets` are taken out of the description.
    pub(super) fn answered(error: ExchangeError, secrets: &[&str]) -> Self {
        let reason = error.to_string();
        let description = match error {
            ExchangeError::Answer(TokenFailure::Refused { description, .. }) => description,
            _ => None,
        };
        let without_secrets = |text: String| {
            let known = secrets.iter().filter(|secret| !secret.is_empty());
            Secret::new(known.fold(text, |text, secret| text.replace(secret, "…")))
        };
        Self {
            reason,
            description: description.map(without_secrets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DB-123
    #[test]
    fn the_description_is_apart_and_without_known_secrets() {
        let error = ExchangeError::Answer(TokenFailure::Refused {
            status: 400,
            code: "invalid_grant".to_owned(),
            description: Some("no client has hunter2".to_owned()),
        });
        let failure = ExchangeFailure::answered(error, &["hunter2", ""]);
        let shown = format!("{failure} {failure:?}");
        assert!(
            shown.contains("invalid_grant") && !shown.contains("client"),
            "{shown}"
        );
        let description = failure.description.unwrap();
        assert_eq!(description.expose(), "no client has …");
    }
}
