//! Refresh exactly once (AK-220..AK-226).
//!
//! A given refresh token is never on its way twice at the same time, nor again after its holder died:
//!
//! 1. Within the process, callers of one account queue on a lock and read the row again.
//! 2. Across processes, the holder takes a lease on the row *at the version it read*, durably,
//!    before anything is sent. The lease is the record that the refresh token may be on its way.
//! 3. The new tokens and the next version are committed before anybody sees them.
//!
//! A holder that fails cleanly gives the lease back. A holder that died leaves it behind: then
//! nobody can know whether the provider rotated the refresh token. It is sent again only when that
//! is known to be harmless (the provider never rotated it, or the token is minted); otherwise the
//! user has to authorize again, because a second use would look like theft to the provider and
//! revoke the grant anyway.

use super::{
    GrantClient, TokenCall,
    exchange::client_of,
    mint::{MintInput, Minted},
    refresh_outcome::{Failure, Fresh, NO_HOLDER},
};
use crate::{
    AgentKit, Error,
    accounts::{Account, AccountStatus, Grounds},
    error::Result,
};
use keystead_oauth::{Grant, TokenResponse};
use keystead_store::entities::connected_accounts::{self, LeaseRequest};
use keystead_types::{ConnectedAccountId, EnvironmentId, Secret};
use serde_json::Map;
use std::{sync::Arc, time::Duration};

/// How long others wait for a holder (AK-222).
const LEASE: Duration = Duration::from_secs(30);
/// Longest wait for the token endpoint, with a second try of the client's authentication; shorter
/// than the lease.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause between looks at a lease that another process holds.
const POLL: Duration = Duration::from_millis(40);

/// When a refresh is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Force {
    /// When the token is expired or about to.
    IfDue,
    /// When the credential still has this version: its token was refused upstream.
    Version(i64),
    /// As `Version`, because somebody asked for it: also an expired account, and without waiting
    /// for the pause after a failure to end (AK-225).
    Asked(i64),
}

/// Why a refresh was made or not.
enum Step {
    /// Use what is there.
    Ready,
    /// Refresh this version.
    Refresh,
    /// Somebody else is at it.
    Wait,
}

impl AgentKit {
    /// Gives grounds with a live access token, refreshed when needed.
    ///
    /// # Errors
    /// [`Error::AccountNotActive`], [`Error::ProviderUnavailable`].
    pub(crate) async fn fresh(&self, grounds: Arc<Grounds>, force: Force) -> Result<Arc<Grounds>> {
        let now = self.ctx().clock.now();
        if !grounds.needs_refresh(now, force) {
            if grounds.token_is_live(now) || !grounds.credential_ends() {
                return Ok(grounds);
            }
            let why = if grounds.is_refreshable() {
                "the access token ended and automatic refresh is off"
            } else {
                "the access token ended and there is nothing to refresh it with"
            };
            Box::pin(self.give_up(&grounds, NO_HOLDER, why)).await?;
            return Err(grounds.not_active(AccountStatus::Expired));
        }
        let kit = self.clone();
        self.to_the_end(async move { kit.refresh_in_turn(grounds, force).await })
            .await
    }

    async fn refresh_in_turn(self, grounds: Arc<Grounds>, force: Force) -> Result<Arc<Grounds>> {
        let (env, id) = (grounds.environment, grounds.account.id);
        let _turn = self.flights().enter(id).await;
        // Whoever was before us left its result here, so that a thousand waiters read no row. A
        // stale copy does no harm: the lease is taken at the version that was read.
        let mut remembered = self.snapshots().account(env, id);
        loop {
            let from_memory = remembered.is_some();
            let current = match remembered.take() {
                Some(current) => current,
                None => self.read_again(env, id).await?,
            };
            match force {
                Force::Asked(_) => current.require_refreshable()?,
                _ => current.require_active()?,
            }
            match self.next_step(&current, force).await? {
                Step::Ready => return Ok(current),
                Step::Refresh => return self.refresh_held(current, force).await,
                // The row may have moved on since it was remembered: look before waiting.
                Step::Wait if from_memory => {}
                Step::Wait => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Reads an account and leaves it for those who wait behind: what another node stored is then
    /// read once and not by each of them.
    async fn read_again(&self, env: EnvironmentId, id: ConnectedAccountId) -> Result<Arc<Grounds>> {
        let moment = self.snapshots().moment();
        let grounds = self.grounds_of(env, id).await?;
        self.snapshots().put(moment, &grounds);
        Ok(grounds)
    }

    /// Looks at a row just read and takes the lease when it is up to us.
    async fn next_step(&self, grounds: &Grounds, force: Force) -> Result<Step> {
        let now = self.ctx().clock.now();
        if !grounds.needs_refresh(now, force) {
            return Ok(Step::Ready);
        }
        let live = grounds.token_is_live(now) && force == Force::IfDue;
        let pause = grounds.row.refresh_not_before.filter(|at| *at > now);
        if let Some(not_before) = pause.filter(|_| !matches!(force, Force::Asked(_))) {
            if live {
                return Ok(Step::Ready);
            }
            let seconds = not_before.since(now).as_secs() + 1;
            return Err(Error::ProviderUnavailable(format!(
                "the last refresh failed; next try in {seconds} s"
            )));
        }
        let lease = LeaseRequest {
            id: grounds.account.id,
            version: grounds.account.credential_version,
            holder: self.holder(),
            until: now.plus(LEASE),
        };
        let mut tx = self.ctx().db.begin(grounds.environment).await?;
        if connected_accounts::acquire_lease(&mut tx, &lease).await? {
            tx.commit().await?;
            return Ok(Step::Refresh);
        }
        let abandoned = grounds.row.lease_holder.is_some()
            && grounds.row.lease_until.is_some_and(|until| until < now);
        if abandoned {
            if grounds.may_send_again() {
                if connected_accounts::take_over_lease(&mut tx, &lease, now).await? {
                    tx.commit().await?;
                    return Ok(Step::Refresh);
                }
            } else if live {
                return Ok(Step::Ready);
            } else {
                drop(tx);
                let why = "a refresh was interrupted and its outcome is unknown";
                let ended = self.give_up(grounds, NO_HOLDER, why).await?;
                if ended && matches!(force, Force::Asked(_)) {
                    // Or the next round would send the refresh token again.
                    return Err(grounds.not_active(AccountStatus::Expired));
                }
                return Ok(Step::Wait);
            }
        } else if live {
            return Ok(Step::Ready);
        }
        Ok(Step::Wait)
    }

    /// Makes the refresh under the lease.
    async fn refresh_held(&self, grounds: Arc<Grounds>, force: Force) -> Result<Arc<Grounds>> {
        let outcome = if grounds.pattern.is_minted() {
            self.mint_for(&grounds).await
        } else {
            self.refresh_token(&grounds).await
        };
        match outcome {
            Ok(fresh) => self.store_refreshed(grounds, fresh).await,
            Err(failure) if failure.definitive => self.refused(grounds, &failure.text).await,
            Err(failure) => self.postpone(grounds, force, &failure.text).await,
        }
    }

    async fn refresh_token(&self, grounds: &Grounds) -> std::result::Result<Fresh, Failure> {
        let credential = &grounds.credential;
        let client = client_of(grounds).ok_or_else(|| Failure {
            definitive: true,
            text: "the OAuth client or token endpoint of the grant is unknown".to_owned(),
        })?;
        let token = Secret::new(credential.refresh_token.clone());
        let paths = grounds.token_paths();
        let redirect_uri = self
            .redirect_uri(grounds.environment, grounds.connection.id)
            .await
            .map_err(|error| Failure {
                definitive: false,
                text: error.to_string(),
            })?;
        let extra = grounds.refresh_parameters(&redirect_uri);
        let call = TokenCall {
            client: Some(&client),
            provider: &grounds.provider.identifier,
            endpoint: &client.token_uri,
            grant: Grant::RefreshToken { token: &token },
            paths: &paths,
            extra: &extra,
            timeout: EXCHANGE_TIMEOUT,
        };
        let (tokens, authentication) = self.exchange(&call).await?;
        let mut client = client.clone();
        if let Some(way) = authentication {
            way.as_str().clone_into(&mut client.auth_method);
        }
        Ok(self.after_refresh(grounds, tokens, client))
    }

    fn after_refresh(
        &self,
        grounds: &Grounds,
        tokens: TokenResponse,
        client: GrantClient,
    ) -> Fresh {
        let old = &grounds.credential;
        let rotated = tokens
            .refresh_token
            .as_ref()
            .is_some_and(|token| *token.expose() != old.refresh_token);
        let mut credential = old.clone();
        credential
            .access_token
            .clone_from(tokens.access_token.expose());
        if let Some(token) = tokens.refresh_token {
            credential.refresh_token.clone_from(token.expose());
        }
        if let Some(scopes) = tokens.scopes {
            credential.scopes = scopes;
        }
        credential.client = Some(client);
        credential.rotates = Some(rotated || old.rotates == Some(true));
        let lifetime = tokens.expires_in.or_else(|| {
            grounds
                .connection
                .default_expires_in(Some(&grounds.pattern))
        });
        Fresh {
            credential,
            expires_at: lifetime.map(|lifetime| self.ctx().clock.now().plus(lifetime)),
            account_values: Map::new(),
        }
    }

    async fn mint_for(&self, grounds: &Grounds) -> std::result::Result<Fresh, Failure> {
        let scopes = grounds.wanted_scopes();
        let input = MintInput {
            connection: &grounds.connection,
            pattern: &grounds.pattern,
            credential: &grounds.credential,
            environment: grounds.environment,
            api_config: &grounds.account.api_config,
            scopes: &scopes,
            base_url: &grounds.base_url(),
            values: grounds.template_values(),
        };
        let Minted {
            access_token,
            expires_at,
            scopes: granted,
            aws_key,
            account_values,
        } = self.mint(&input).await.map_err(|error| Failure {
            definitive: error.is_definitive(),
            text: error.to_string(),
        })?;
        let mut credential = grounds.credential.clone();
        credential.access_token.clone_from(access_token.expose());
        credential.scopes = granted.unwrap_or(scopes);
        if let Some(key) = aws_key {
            credential.access_key_id = key.id;
            credential.token_secret.clone_from(key.secret.expose());
        }
        Ok(Fresh {
            credential,
            expires_at,
            account_values,
        })
    }

    /// Refreshes now, on request (AK-225).
    ///
    /// # Errors
    /// [`Error::NothingToRefresh`], and those of a refresh.
    pub async fn refresh_now(&self, env: EnvironmentId, id: ConnectedAccountId) -> Result<Account> {
        let grounds = self.grounds_of(env, id).await?;
        grounds.require_refreshable()?;
        if !grounds.is_refreshable() {
            return Err(Error::NothingToRefresh);
        }
        let version = grounds.account.credential_version;
        Ok(self
            .fresh(grounds, Force::Asked(version))
            .await?
            .account
            .clone())
    }
}
