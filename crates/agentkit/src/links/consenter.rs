//! Which account of the provider consented (AK-309, 4.2.3).

use crate::{AgentKit, accounts::Grounds, template};
use bytes::Bytes;
use http::{Request, header};
use keystead_net::Limits;
use keystead_oauth::TokenResponse;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// Where providers keep the id of an account; the first that is there counts.
const SUBJECT: &[&str] = &[
    "/sub",
    "/id",
    "/user_id",
    "/account_id",
    "/accountId",
    "/data/id",
    "/data/gid",
    "/user/id",
];
/// Where they keep what people know it by.
const LABEL: &[&str] = &[
    "/email",
    "/mail",
    "/login",
    "/username",
    "/preferred_username",
    "/userPrincipalName",
    "/data/email",
    "/data/username",
    "/user/email",
    "/name",
    "/data/name",
    "/user/name",
];
const LONGEST: usize = 200;

/// An account at the provider, as its user info names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProviderAccount {
    /// The provider's id.
    pub(crate) subject: String,
    /// What people know it by: an e-mail address, a login name.
    pub(crate) label: String,
}

impl ProviderAccount {
    fn of(user_info: &Value) -> Option<Self> {
        let first = |pointers: &[&str]| pointers.iter().find_map(|at| text(user_info.pointer(at)?));
        let label = first(LABEL);
        let subject = first(SUBJECT).or_else(|| label.clone())?;
        Some(Self {
            label: label.unwrap_or_else(|| subject.clone()),
            subject,
        })
    }

    /// Whether it differs from the account that consented before.
    pub(crate) fn is_other_than(&self, before: &str) -> bool {
        !before.is_empty() && before != self.subject
    }
}

/// SECURITY: written by the provider and shown to people, so it is cut and has no control characters.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let shown = text.chars().filter(|letter| !letter.is_control());
    let shown: String = shown.take(LONGEST).collect();
    Some(shown.trim().to_owned()).filter(|text| !text.is_empty())
}

impl AgentKit {
    /// Asks the provider whose tokens these are, within `left`. A grant works without the answer, so
    /// none is not an error.
    pub(super) async fn provider_account(
        &self,
        grounds: &Grounds,
        account_values: &Map<String, Value>,
        tokens: &TokenResponse,
        left: Duration,
    ) -> Option<ProviderAccount> {
        let uri = grounds.connection.user_info_uri(Some(&grounds.pattern))?;
        let mut config = grounds.account.api_config.clone();
        config.extend(account_values.clone());
        let values = grounds.template_values_with(&config);
        let endpoint = grounds.endpoint_with(uri, &values).ok()?;
        let bearer = format!("Bearer {}", tokens.access_token.expose());
        let mut request = Request::get(endpoint)
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, bearer);
        for (name, value) in grounds.provider.default_headers() {
            request = request.header(name, template::fill_header(&value, &values).ok()?);
        }
        let request = request.body(Bytes::new()).ok()?;
        let limits = Limits {
            timeout: left,
            ..Limits::DOCUMENT
        };
        let http = self.http_of(&grounds.provider.identifier);
        match http.fetch_within(request, limits).await {
            Ok(response) if response.status().is_success() => {
                ProviderAccount::of(&serde_json::from_slice(response.body()).ok()?)
            }
            Ok(response) => {
                let status = response.status().as_u16();
                tracing::info!(account = %grounds.account.id, status, "no user info");
                None
            }
            Err(error) => {
                tracing::info!(account = %grounds.account.id, %error, "no user info");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Part of AK-309
    #[test]
    fn accounts_are_found_in_the_answers_of_providers() {
        for (answer, expected) in [
            (
                json!({"sub": "1", "email": "ada@example.test", "name": "Ada"}),
                Some(("1", "ada@example.test")),
            ),
            (json!({"id": 42, "login": "ada"}), Some(("42", "ada"))),
            (
                json!({"data": {"gid": "7", "name": "Ada"}}),
                Some(("7", "Ada")),
            ),
            (
                json!({"email": "ada@example.test"}),
                Some(("ada@example.test", "ada@example.test")),
            ),
            (json!({"id": "a\u{7}b\n"}), Some(("ab", "ab"))),
            (json!({"id": null, "ok": true}), None),
            (json!([1]), None),
        ] {
            let found = ProviderAccount::of(&answer);
            let found = found
                .as_ref()
                .map(|account| (account.subject.as_str(), account.label.as_str()));
            assert_eq!(found, expected, "{answer}");
        }
    }
}
