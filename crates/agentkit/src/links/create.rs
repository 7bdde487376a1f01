//! Making and opening links (AK-300..AK-303).

use super::purpose;
use crate::{
    AgentKit, Error,
    accounts::{Account, AccountKey, Grounds, NewAccount},
    error::Result,
    record::{self, AccountEvent},
    settings::{Verification, check_verify_url},
};
use keystead_crypto::{TokenHash, random_token};
use keystead_identity::{Actor, environments::EnvironmentKind};
use keystead_store::entities::{
    auth_links::{self, LinkRow},
    connected_accounts,
};
use keystead_types::{AuthRequestId, ConnectionId, EnvironmentId, Secret, Timestamp};
use std::sync::Arc;

/// A link that is wanted.
#[derive(Clone, Debug, Default)]
pub struct NewLink {
    /// The account; created when connector and identifier name none.
    pub key: AccountKey,
    /// The developer's `state`, returned unchanged.
    pub state: String,
    /// Where the browser goes for verification.
    pub user_verify_url: String,
}

/// A link that was made.
#[derive(Debug)]
pub struct CreatedLink {
    /// Its id. Not a secret.
    pub id: AuthRequestId,
    /// The link; whoever has it can authorize the account.
    pub url: Secret<String>,
    /// End of the link.
    pub expires_at: Timestamp,
    /// The account.
    pub account: Account,
}

/// A live link with its account.
#[derive(Clone)]
pub struct OpenLink {
    /// The link.
    pub(crate) row: LinkRow,
    /// The account it authorizes.
    pub grounds: Arc<Grounds>,
}

impl OpenLink {
    /// Id of the link. Not a secret.
    pub const fn id(&self) -> AuthRequestId {
        self.row.id
    }
}

impl AgentKit {
    /// Makes a link for an account, in any state of it (AK-300).
    ///
    /// # Errors
    /// Those of finding the account, [`Error::ConnectionDisabled`], [`Error::VerifyUrlMissing`],
    /// [`Error::TooManyLinks`].
    pub async fn create_link(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        new: NewLink,
    ) -> Result<CreatedLink> {
        let key = new.key.normalised();
        self.link_rate().count(env, &key)?;
        let grounds = match self.grounds(env, key.clone()).await {
            Err(Error::AccountNotFound) if key.id.is_none() => {
                let account = NewAccount {
                    connector: key.connector.unwrap_or_default(),
                    identifier: key.identifier.unwrap_or_default(),
                    organization_id: key.organization_id.unwrap_or_default(),
                    user_id: key.user_id.unwrap_or_default(),
                    ..NewAccount::default()
                };
                self.create_account(env, actor, account).await?
            }
            found => {
                let found = found?;
                self.require_consistent(env, &key, &found.account).await?;
                found
            }
        };
        // SECURITY: only who may authorize for all users gets a link that does.
        if grounds.account.is_org_wide {
            return Err(Error::SharedCredential("authorize it for the organization"));
        }
        self.link_of(env, actor, &grounds, new.state, new.user_verify_url)
            .await
    }

    /// Makes a link for an account that the caller may authorize.
    pub(crate) async fn link_of(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        grounds: &Grounds,
        state: String,
        mut verify_url: String,
    ) -> Result<CreatedLink> {
        grounds.connection.require_usable(&grounds.provider)?;
        let settings = self.settings(env).await?;
        if !verify_url.is_empty() {
            let site = self.ctx().site(env).await?;
            let production =
                site.is_some_and(|site| site.environment.kind == EnvironmentKind::Production);
            check_verify_url("user_verify_url", &verify_url, production)?;
        }
        if !verify_url.is_empty() && !settings.allows_verify_url(&verify_url) {
            return Err(Error::field(
                "user_verify_url",
                "is not on the environment's list of allowed addresses",
            ));
        }
        // The application knows who its users are; for all of them a member authorizes.
        let confirmed = grounds.connection.kind.is_redirect()
            && !grounds.account.is_org_wide
            && !grounds.consents_only();
        if verify_url.is_empty() && confirmed {
            verify_url = settings.default_user_verify_url.clone();
        }
        if confirmed && settings.verification == Verification::Custom && verify_url.is_empty() {
            return Err(Error::VerifyUrlMissing);
        }
        let (ctx, now) = (self.ctx(), self.ctx().clock.now());
        let token = random_token(&*ctx.rng, "", 32);
        let nonce = random_token(&*ctx.rng, "", 16);
        let expires_at = now.plus(settings.link_lifetime());
        let row = LinkRow {
            id: ctx.ids.next(&*ctx.clock),
            account_id: grounds.account.id,
            identifier: grounds.account.identifier.clone(),
            client_state: state,
            user_verify_url: verify_url,
            created_at: now,
            expires_at,
            completed_at: None,
        };
        let hash = self.link_hash(token.expose(), nonce.expose());
        let mut tx = ctx.db.begin(env).await?;
        connected_accounts::lock(&mut tx, row.account_id)
            .await?
            .ok_or(Error::AccountNotFound)?;
        auth_links::insert_link(&mut tx, hash.as_bytes(), &row).await?;
        let event = AccountEvent::MagicLinkGenerated;
        record::account_event(
            &mut tx,
            ctx,
            event,
            &grounds.account,
            &grounds.connection,
            "",
        )
        .await?;
        let target = grounds.account.id.to_string();
        record::audit(
            &mut tx,
            ctx,
            actor,
            "connected_account.link_created",
            &target,
        )
        .await?;
        tx.commit().await?;
        let base = self.base_url(env).await?;
        Ok(CreatedLink {
            id: row.id,
            url: Secret::new(format!(
                "{base}/oauth/connect?token={}&state={}",
                token.expose(),
                nonce.expose()
            )),
            expires_at,
            account: grounds.account.clone(),
        })
    }

    /// The live link of a token and its nonce.
    ///
    /// # Errors
    /// [`Error::AuthRequestNotFound`] when it is unknown, expired or used: which one is not told.
    pub async fn open_link(
        &self,
        env: EnvironmentId,
        token: &Secret<String>,
        nonce: &str,
    ) -> Result<OpenLink> {
        let hash = self.link_hash(token.expose(), nonce);
        let now = self.ctx().clock.now();
        let row = auth_links::find_link(&mut self.ctx().db.read(env), hash.as_bytes(), now)
            .await?
            .ok_or(Error::AuthRequestNotFound)?;
        self.opened(env, row).await
    }

    pub(crate) async fn opened(&self, env: EnvironmentId, row: LinkRow) -> Result<OpenLink> {
        let grounds = self
            .grounds_of(env, row.account_id)
            .await
            .map_err(|error| match error {
                Error::AccountNotFound => Error::AuthRequestNotFound,
                other => other,
            })?;
        grounds.connection.require_usable(&grounds.provider)?;
        Ok(OpenLink { row, grounds })
    }

    /// Token and nonce are one secret: neither works without the other.
    fn link_hash(&self, token: &str, nonce: &str) -> TokenHash {
        self.ctx()
            .keys
            .hasher
            .hash(purpose::LINK, &format!("{token}.{nonce}"))
    }

    /// Public origin of an environment, without a slash at its end.
    pub async fn base_url(&self, env: EnvironmentId) -> Result<String> {
        let site = self
            .ctx()
            .site(env)
            .await?
            .ok_or(Error::AuthRequestNotFound)?;
        Ok(site.base_url.trim_end_matches('/').to_owned())
    }

    /// Where providers send the browser back to (AK-106).
    pub async fn redirect_uri(
        &self,
        env: EnvironmentId,
        connection: ConnectionId,
    ) -> Result<String> {
        let base = self.base_url(env).await?;
        Ok(format!("{base}/sso/v1/oauth/{connection}/callback"))
    }
}
