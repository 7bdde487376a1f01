use crate::{AuthError, Authorizer, Caller, Permissions, Subject};
use keystead_identity::{Site, clients::ClientType};
use keystead_jose::{Expect, verify};
use keystead_types::{ClientId, ClientSecretId, EnvironmentId, Internal, Secret, Timestamp};
use moka::sync::Cache;
use std::{net::IpAddr, time::Duration};

/// Tokens that were verified, by the hash of their text: the signature is checked once.
#[derive(Debug)]
pub(crate) struct VerifiedBearers(Cache<(EnvironmentId, [u8; 32]), VerifiedBearer>);

#[derive(Clone, Copy, Debug)]
struct VerifiedBearer {
    client: ClientId,
    secret: ClientSecretId,
    expires_at: Timestamp,
}

/// A verified token is looked at again at least this often, so that a signing key that was removed
/// in an emergency takes its tokens with it.
const CACHE_TTL: Duration = Duration::from_secs(300);

impl Default for VerifiedBearers {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(50_000)
                .time_to_live(CACHE_TTL)
                .build(),
        )
    }
}

impl Authorizer {
    /// Checks an access token. `None` means it is not valid here: never issued, changed, expired,
    /// or its client or secret is gone.
    pub(crate) async fn bearer(
        &self,
        site: &Site,
        token: &Secret<String>,
        peer: Option<IpAddr>,
    ) -> Result<Option<Caller>, AuthError> {
        let env = site.environment.id;
        let now = self.ctx.clock.now();
        let key = (
            env,
            *self
                .ctx
                .keys
                .hasher
                .hash("bearer", token.expose())
                .as_bytes(),
        );
        let verified = match self.bearers.0.get(&key) {
            Some(verified) => verified,
            None => match self.verify(site, token, now).await? {
                Some(verified) => {
                    self.bearers.0.insert(key, verified);
                    verified
                }
                None => return Ok(None),
            },
        };
        if verified.expires_at <= now {
            return Ok(None);
        }
        let Some(client) = self.ctx.cached_client(env, verified.client).await? else {
            return Ok(None);
        };
        let secret = client
            .secrets
            .iter()
            .find(|secret| secret.id == verified.secret);
        if !secret.is_some_and(|secret| secret.is_usable(now)) {
            return Ok(None);
        }
        // MC-281: everything but a bad token is a refusal, not a reason to fetch another token:
        // the Python client would do so without end.
        let allowed = matches!(
            client.row.kind,
            ClientType::Environment | ClientType::WebApp
        ) && !client.row.disallow_api_access;
        if !allowed {
            return Err(AuthError::ApiAccess);
        }
        if !client.settings.ip_allowlist.allows(peer) {
            return Err(AuthError::Address);
        }
        let subject = Subject::Client {
            id: verified.client,
            secret: verified.secret,
        };
        let permissions = Permissions::of_environment_client();
        Ok(Some(Caller::new(
            env,
            site.environment.workspace,
            subject,
            permissions,
        )))
    }

    async fn verify(
        &self,
        site: &Site,
        token: &Secret<String>,
        now: Timestamp,
    ) -> Result<Option<VerifiedBearer>, Internal> {
        // Whatever has no two dots is no token of ours; the keys need not be fetched for it.
        if token.expose().bytes().filter(|byte| *byte == b'.').count() != 2 {
            return Ok(None);
        }
        let keys = self.ctx.signing_keys(site.environment.id).await?;
        let (issuer, audience) = (site.base_url.as_str(), Some(site.base_url.as_str()));
        let expect = Expect {
            issuer,
            audience,
            now,
            leeway: Duration::ZERO,
        };
        let Ok(claims) = verify(token.expose(), &keys.published, &expect) else {
            return Ok(None);
        };
        let client = claims.text("client_id").and_then(|id| id.parse().ok());
        let secret = claims.text("secret_id").and_then(|id| id.parse().ok());
        let expires_at = claims.expires_at();
        let own = claims.subject() == claims.text("client_id");
        Ok(client
            .zip(secret)
            .filter(|_| own)
            .map(|(client, secret)| VerifiedBearer {
                client,
                secret,
                expires_at,
            }))
    }
}
