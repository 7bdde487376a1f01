//! Telling the provider that a grant is over (AK-213).

use super::settle::PendingGrant;
use crate::{
    AgentKit,
    accounts::Grounds,
    providers::RevocationScope,
    vault::{Credential, Sealed},
};
use bytes::Bytes;
use http::{Request, header};
use keystead_net::Limits;
use keystead_store::entities::{
    auth_links::{FlowRow, PendingGrantRow},
    connected_accounts::AccountRow,
};
use keystead_types::EnvironmentId;
use std::{sync::Arc, time::Duration};

/// Best effort; nobody waits for it.
const REVOCATION_TIMEOUT: Duration = Duration::from_secs(5);

/// Revocations under way in this process; further ones wait for a place.
pub(crate) const MAX_REVOCATIONS: usize = 32;

/// What held grants of an account and is gone.
#[derive(Default)]
pub(crate) struct Dropped {
    /// Trips to the provider that nobody finished.
    pub(crate) flows: Vec<FlowRow>,
    /// Grants that waited for verification.
    pub(crate) pending: Vec<PendingGrantRow>,
}

impl AgentKit {
    /// Revokes the account's grant at the provider in the background, when its endpoint is known
    /// (RFC 7009).
    pub(crate) fn revoke_upstream(&self, grounds: &Grounds) {
        self.revoke_grant(grounds, &grounds.credential);
    }

    /// Revokes a grant that never became the account's credential: another one was faster, or nobody
    /// verified it. Only where a revocation leaves the user's other grants alone, since the
    /// credential in use may be of the same user.
    pub(crate) fn revoke_unused(&self, grounds: &Grounds, credential: &Credential) {
        let oauth = grounds.pattern.oauth_config.as_ref();
        let scope = oauth.and_then(|oauth| oauth.revocation_scope);
        if scope == Some(RevocationScope::Grant) {
            self.revoke_grant(grounds, credential);
        }
    }

    /// As [`Self::revoke_unused`], of waiting grants that were removed.
    pub(crate) async fn revoke_dropped(&self, grounds: &Grounds, dropped: &[PendingGrantRow]) {
        for row in dropped {
            let id = row.account_id.to_string();
            let place = Sealed::Pending(&id);
            let opened = self.open_sealed(grounds.environment, place, &row.sealed);
            match opened.await {
                Ok(PendingGrant { credential, .. }) => self.revoke_unused(grounds, &credential),
                Err(error) => {
                    tracing::warn!(account = %id, %error, "a waiting grant cannot be read");
                }
            }
        }
    }

    /// Revokes what an account had that was removed or disconnected, when its connector still says
    /// how.
    pub(crate) async fn revoke_removed(
        &self,
        env: EnvironmentId,
        row: AccountRow,
        dropped: &Dropped,
    ) {
        let id = row.id;
        match self.grounds_from(env, row).await {
            Ok(grounds) => {
                self.revoke_upstream(&grounds);
                self.revoke_dropped(&grounds, &dropped.pending).await;
                self.revoke_waiting(&grounds, &dropped.flows).await;
            }
            Err(error) => tracing::warn!(account = %id, %error, "grant not revoked upstream"),
        }
    }

    /// Waits until a revocation would begin at once: for whoever has many, so that a slow provider
    /// does not make them pile up in memory.
    pub(crate) async fn revocations_caught_up(&self) {
        // Never closed.
        drop(self.revocations().acquire().await);
    }

    pub(crate) fn revoke_grant(&self, grounds: &Grounds, credential: &Credential) {
        let oauth = grounds.pattern.oauth_config.as_ref();
        let Some(endpoint) = oauth.and_then(|oauth| oauth.revocation_uri.clone()) else {
            return;
        };
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
        let http = self.http_of(&grounds.provider.identifier);
        let (Ok(request), http, id) = (request, http.clone(), grounds.account.id) else {
            return;
        };
        let places = Arc::clone(self.revocations());
        tokio::spawn(async move {
            let _place = places.acquire_owned().await;
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
