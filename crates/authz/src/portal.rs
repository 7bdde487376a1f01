use crate::{AuthError, Authorizer, Caller, Permissions, Subject};
use keystead_crypto::random_token;
use keystead_identity::Site;
use keystead_store::{
    Tx,
    entities::sessions::{self as rows, PortalSession},
};
use keystead_types::{AuthRequestId, ConnectedAccountId, Internal, Secret};
use std::time::Duration;

/// A portal session ends this long after it began, finished or not.
pub const PORTAL_SESSION_LIFETIME: Duration = Duration::from_secs(30 * 60);

const PORTAL_PURPOSE: &str = "portal session";

impl Authorizer {
    /// Begins a session of a visitor who may touch one connected account, in the transaction that
    /// uses up the link (AK-306). The answer is the token for the cookie.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_portal_session(
        &self,
        tx: &mut Tx,
        account: ConnectedAccountId,
        link: Option<AuthRequestId>,
    ) -> Result<Secret<String>, Internal> {
        let ctx = &self.ctx;
        let token = random_token(&*ctx.rng, "ksp_", 32);
        let hash = ctx.keys.hasher.hash(PORTAL_PURPOSE, token.expose());
        let now = ctx.clock.now();
        let id = ctx.ids.next(&*ctx.clock);
        let session = PortalSession {
            id,
            account,
            link,
            expires_at: now.plus(PORTAL_SESSION_LIFETIME),
        };
        rows::insert_portal_session(tx, hash.as_bytes(), &session, now)
            .await
            .map_err(Internal::new)?;
        Ok(token)
    }

    /// Ends every portal session of an account: its flow is complete.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_portal_sessions(
        &self,
        tx: &mut Tx,
        account: ConnectedAccountId,
    ) -> Result<(), Internal> {
        rows::end_portal_sessions(tx, account)
            .await
            .map_err(Internal::new)
    }

    /// The caller behind a portal session. Not cached: it ends the moment the flow does.
    pub(crate) async fn portal_visitor(
        &self,
        site: &Site,
        token: &Secret<String>,
    ) -> Result<Option<Caller>, AuthError> {
        let env = site.environment.id;
        let hash = self.ctx.keys.hasher.hash(PORTAL_PURPOSE, token.expose());
        let mut reader = self.ctx.db.read(env);
        let found =
            rows::find_portal_session(&mut reader, hash.as_bytes(), self.ctx.clock.now()).await;
        Ok(found.map_err(Internal::new)?.map(|session| {
            let subject = Subject::Account {
                id: session.account,
                session: session.id,
                link: session.link,
            };
            Caller::new(
                env,
                site.environment.workspace,
                subject,
                Permissions::of_actions_portal(),
            )
        }))
    }
}
