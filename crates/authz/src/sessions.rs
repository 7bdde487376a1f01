use crate::{
    AuthError, Authorizer, Caller, Permissions, Subject,
    sign_in_audit::{self, SignInRecord, in_person},
};
use keystead_events::Outcome;
use keystead_identity::{Site, members::Member};
use keystead_store::entities::{
    members,
    sessions::{self as rows, MemberSession},
};
use keystead_types::{Internal, MemberId, Secret, Timestamp};
use moka::future::Cache;
use std::{sync::Arc, time::Duration};

/// A dashboard session ends this long after signing in, however busy it is.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A dashboard session ends when it was not used for this long.
pub const SESSION_IDLE: Duration = Duration::from_secs(12 * 60 * 60);
/// A session is noted as used at most this often.
const SEEN_INTERVAL: Duration = Duration::from_secs(300);
/// How long a session is kept before the database is asked again: another node may have ended it.
const CACHE_TTL: Duration = Duration::from_secs(15);

pub(crate) const SESSION_PURPOSE: &str = "dashboard session";

/// Live sessions with their members, by token hash.
#[derive(Debug)]
pub(crate) struct SessionCache(Cache<[u8; 32], Option<Arc<(MemberSession, Member)>>>);

impl Default for SessionCache {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(10_000)
                .time_to_live(CACHE_TTL)
                .build(),
        )
    }
}

impl Authorizer {
    /// The caller behind a dashboard session.
    pub(crate) async fn member(
        &self,
        site: &Site,
        token: &Secret<String>,
        env_domain: Option<&str>,
    ) -> Result<Option<Caller>, AuthError> {
        let Some((session, member)) = self
            .live_session(token)
            .await?
            .map(|found| (found.0, found.1.clone()))
        else {
            return Ok(None);
        };
        let environment = match env_domain {
            None => site.environment.clone(),
            Some(domain) => match self.ctx.site_by_host(domain).await? {
                Some(named) => named.environment.clone(),
                None => return Err(AuthError::EnvironmentNotFound),
            },
        };
        // An environment of another workspace does not exist for this member (DB-022).
        if environment.workspace != member.workspace {
            return Err(AuthError::EnvironmentNotFound);
        }
        let subject = Subject::Member {
            id: member.id,
            session: session.id,
        };
        let permissions = Permissions::of_role(member.role);
        Ok(Some(Caller::new(
            environment.id,
            member.workspace,
            subject,
            permissions,
        )))
    }

    /// The member behind a dashboard session, for pages that are not about an environment.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn session_member(&self, token: &Secret<String>) -> Result<Option<Member>, Internal> {
        Ok(self.live_session(token).await?.map(|found| found.1.clone()))
    }

    async fn live_session(
        &self,
        token: &Secret<String>,
    ) -> Result<Option<Arc<(MemberSession, Member)>>, Internal> {
        let now = self.ctx.clock.now();
        let hash = *self
            .ctx
            .keys
            .hasher
            .hash(SESSION_PURPOSE, token.expose())
            .as_bytes();
        let load = self.load_session(hash, now);
        let found = self.sessions.0.try_get_with(hash, load).await;
        let Some(found) = found.map_err(|error| Internal::new(error.to_string()))? else {
            return Ok(None);
        };
        if found.0.expires_at <= now {
            return Ok(None);
        }
        if now.since(found.0.last_seen_at) >= SEEN_INTERVAL {
            self.uses.session(hash, now);
        }
        Ok(Some(found))
    }

    async fn load_session(
        &self,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<Arc<(MemberSession, Member)>>, Internal> {
        let mut reader = self.ctx.db.read_admin();
        let idle_since = now.minus(SESSION_IDLE);
        let session = rows::find_member_session(&mut reader, &hash, now, idle_since)
            .await
            .map_err(Internal::new)?;
        let Some(session) = session else {
            return Ok(None);
        };
        let member = members::find(&mut reader, session.member)
            .await
            .map_err(Internal::new)?;
        Ok(member.map(|member| Arc::new((session, member))))
    }

    /// Ends a dashboard session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sign_out(&self, token: &Secret<String>) -> Result<(), Internal> {
        let hash = *self
            .ctx
            .keys
            .hasher
            .hash(SESSION_PURPOSE, token.expose())
            .as_bytes();
        let mut tx = self.ctx.db.begin_admin().await.map_err(Internal::new)?;
        let ended = rows::end_member_session(&mut tx, &hash)
            .await
            .map_err(Internal::new)?;
        let member = match &ended {
            Some(session) => members::find(&mut tx, session.member)
                .await
                .map_err(Internal::new)?,
            None => None,
        };
        if let (Some(session), Some(member)) = (ended, member) {
            let new = SignInRecord {
                actor: &in_person(&member),
                action: "member.signed_out",
                outcome: Outcome::Success,
                detail: serde_json::json!({"session_id": session.id.to_string()}),
            };
            sign_in_audit::record(&mut tx, &self.ctx, &member, new).await?;
        }
        tx.commit().await.map_err(Internal::new)?;
        self.sessions.0.invalidate(&hash).await;
        Ok(())
    }

    /// Ends every session of a member (DB-040).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sign_out_everywhere(&self, member: MemberId) -> Result<(), Internal> {
        let mut tx = self.ctx.db.begin_admin().await.map_err(Internal::new)?;
        rows::end_member_sessions(&mut tx, member)
            .await
            .map_err(Internal::new)?;
        tx.commit().await.map_err(Internal::new)?;
        self.sessions.0.invalidate_all();
        Ok(())
    }
}
