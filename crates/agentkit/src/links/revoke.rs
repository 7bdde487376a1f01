//! Telling the provider that a grant is over (AK-213).

use crate::{AgentKit, accounts::Grounds};
use bytes::Bytes;
use http::{Request, header};
use keystead_net::Limits;
use std::time::Duration;

/// Best effort; nobody waits for it.
const REVOCATION_TIMEOUT: Duration = Duration::from_secs(5);

impl AgentKit {
    /// Revokes the grant at the provider in the background, when its endpoint is known (RFC 7009).
    pub(crate) fn revoke_upstream(&self, grounds: &Grounds) {
        let oauth = grounds.pattern.oauth_config.as_ref();
        let Some(endpoint) = oauth.and_then(|oauth| oauth.revocation_uri.clone()) else {
            return;
        };
        let credential = &grounds.credential;
        let (token, hint) = if credential.refresh_token.is_empty() {
            (&credential.access_token, "access_token")
        } else {
            (&credential.refresh_token, "refresh_token")
        };
        if token.is_empty() || endpoint.contains("{{") {
            return;
        }
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", token)
            .append_pair("token_type_hint", hint);
        if let Some(client) = &credential.client {
            form.append_pair("client_id", &client.client_id);
            if !client.client_secret.is_empty() {
                form.append_pair("client_secret", &client.client_secret);
            }
        }
        let body = Bytes::from(form.finish());
        let request = Request::post(endpoint)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        let (Ok(request), http, id) = (request, self.http().clone(), grounds.account.id) else {
            return;
        };
        tokio::spawn(async move {
            let limits = Limits {
                timeout: REVOCATION_TIMEOUT,
                ..Limits::DOCUMENT
            };
            match http.fetch_within(request, limits).await {
                Ok(response) => {
                    tracing::info!(account = %id, status = response.status().as_u16(), "grant revoked upstream");
                }
                Err(error) => tracing::info!(account = %id, %error, "grant not revoked upstream"),
            }
        });
    }
}
