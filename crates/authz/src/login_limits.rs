//! How often codes may be asked for and tried at the dashboard's sign-in.
//!
//! Counts are in the database, so that they hold on all nodes and after a restart. The row is counted
//! and locked before anything is compared or sent: requests at the same time cannot pass together.
//! Unknown addresses are counted like known ones. A browser that the member has signed in with before
//! is counted on its own, so that strangers cannot lock the member out.

use crate::{
    Authorizer, Visitor, device,
    sign_in_audit::{self, SignInRecord},
};
use keystead_crypto::TokenHasher;
use keystead_events::Outcome;
use keystead_identity::{
    Actor, Context,
    members::{Member, email_key},
};
use keystead_store::{
    admin,
    entities::{
        members,
        sign_in_limits::{self, SignInAct, SignInKey},
    },
};
use keystead_types::{Internal, Timestamp};
use std::time::Duration;

/// A limit of one act for one address.
struct Limit {
    act: SignInAct,
    /// Acts of one visitor, by network or by known browser.
    of_visitor: i64,
    /// Acts of everybody who is not in a known browser.
    of_all: i64,
    span: Duration,
}

/// Mails with codes.
const REQUESTS: Limit = Limit {
    act: SignInAct::Request,
    of_visitor: 5,
    of_all: 50,
    span: Duration::from_secs(15 * 60),
};
/// Codes tried. With eight digits, somebody who uses it all for a year guesses right once in 380. A
/// known browser adds ten in an hour, for whoever has stolen its cookie.
const TRIES: Limit = Limit {
    act: SignInAct::Try,
    of_visitor: 10,
    of_all: 30,
    span: Duration::from_secs(60 * 60),
};

/// Who is counted.
pub(crate) struct Subject<'a> {
    email_key: &'a str,
    /// Network or known browser.
    visitor: String,
    is_known: bool,
}

/// What counting a try gave.
pub(crate) enum Try {
    /// It may be compared; whether it is the last one before all are refused.
    Allowed { is_last: bool },
    /// Refused until then.
    Refused(Timestamp),
}

impl<'a> Subject<'a> {
    pub(crate) fn new(
        email_key: &'a str,
        visitor: &Visitor,
        hasher: &TokenHasher,
        now: Timestamp,
    ) -> Self {
        let proof = visitor.device.as_ref();
        let device = proof.and_then(|proof| device::known(hasher, proof, email_key, now));
        let is_known = device.is_some();
        let network = || visitor.network.map(|address| address.to_string());
        // Empty stands for everybody.
        let visitor = device.or_else(network);
        Self {
            email_key,
            visitor: visitor.unwrap_or_else(|| "unknown".to_owned()),
            is_known,
        }
    }

    /// The counts that an act adds to, and which limit holds for each. The visitor first: who is over
    /// his own share does not use up that of the others.
    fn counts(&self, limit: &Limit) -> impl Iterator<Item = (&str, i64)> {
        let own = (self.visitor.as_str(), limit.of_visitor);
        let all = (!self.is_known).then_some(("", limit.of_all));
        [Some(own), all].into_iter().flatten()
    }

    const fn key<'b>(&'b self, act: SignInAct, network: &'b str) -> SignInKey<'b> {
        SignInKey {
            email_key: self.email_key,
            act,
            network,
        }
    }

    /// Counts a request for a code; whether it may be mailed.
    pub(crate) async fn request(
        &self,
        tx: &mut admin::Tx,
        now: Timestamp,
    ) -> Result<bool, Internal> {
        Ok(matches!(
            self.count(tx, &REQUESTS, now).await?,
            Try::Allowed { .. }
        ))
    }

    /// Counts a try. The caller rolls back when it is refused.
    pub(crate) async fn try_code(
        &self,
        tx: &mut admin::Tx,
        now: Timestamp,
    ) -> Result<Try, Internal> {
        self.count(tx, &TRIES, now).await
    }

    /// Takes back a try that was right.
    pub(crate) async fn was_right(&self, tx: &mut admin::Tx) -> Result<(), Internal> {
        for (network, _) in self.counts(&TRIES) {
            sign_in_limits::take_back(tx, self.key(SignInAct::Try, network))
                .await
                .map_err(Internal::new)?;
        }
        Ok(())
    }

    async fn count(
        &self,
        tx: &mut admin::Tx,
        limit: &Limit,
        now: Timestamp,
    ) -> Result<Try, Internal> {
        let ends_at = now.plus(limit.span);
        let mut is_last = false;
        for (network, max) in self.counts(limit) {
            let counted = sign_in_limits::count(tx, self.key(limit.act, network), now, ends_at)
                .await
                .map_err(Internal::new)?;
            if counted.total > max {
                return Ok(Try::Refused(counted.ends_at));
            }
            is_last |= counted.total == max;
        }
        Ok(Try::Allowed { is_last })
    }
}

/// Notes in the audit log of every environment of the member that tries are refused now.
pub(crate) async fn note_refusal(
    tx: &mut admin::Tx,
    ctx: &Context,
    member: &Member,
) -> Result<(), Internal> {
    let anonymous = Actor {
        name: "anonymous".to_owned(),
        request_id: None,
    };
    let new = SignInRecord {
        actor: &anonymous,
        action: "sign_in.refused",
        outcome: Outcome::Denied,
        detail: serde_json::json!({"reason": "too many wrong codes"}),
    };
    sign_in_audit::record(tx, ctx, member, new).await
}

/// Why nobody was unlocked.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// The address is no member's.
    #[error("nobody with this address is a member")]
    NoMember,
    /// Something broke on our side.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl Authorizer {
    /// Forgets how often codes were asked for and tried for a member, from wherever. For operators,
    /// when strangers keep a member out who has no browser that is known.
    ///
    /// # Errors
    /// [`UnlockError::NoMember`].
    pub async fn unlock_sign_in(&self, actor: &Actor, email: &str) -> Result<Member, UnlockError> {
        let ctx = &self.ctx;
        let email_key = email_key(email).map_err(|_| UnlockError::NoMember)?;
        let mut tx = ctx.db.begin_admin().await.map_err(Internal::new)?;
        let member = members::find_by_email(&mut tx, &email_key)
            .await
            .map_err(Internal::new)?
            .ok_or(UnlockError::NoMember)?;
        sign_in_limits::forget(&mut tx, &email_key)
            .await
            .map_err(Internal::new)?;
        let new = SignInRecord {
            actor,
            action: "sign_in.unlocked",
            outcome: Outcome::Success,
            detail: serde_json::json!({}),
        };
        sign_in_audit::record(&mut tx, ctx, &member, new).await?;
        tx.commit().await.map_err(Internal::new)?;
        Ok(member)
    }
}
