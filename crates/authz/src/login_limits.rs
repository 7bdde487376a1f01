//! How often codes may be asked for and tried at the dashboard's sign-in.
//!
//! Counts are in the database, so that they hold on all nodes and after a restart. The row is counted
//! and locked before anything is compared or sent: requests at the same time cannot pass together.
//! Unknown addresses are counted like known ones.

use keystead_events::{AuditRecord, Outcome};
use keystead_identity::{Context, members::Member};
use keystead_store::{
    admin,
    entities::{
        environments,
        sign_in_limits::{self, SignInAct, SignInKey},
    },
};
use keystead_types::{Internal, Timestamp};
use std::{net::IpAddr, time::Duration};

/// A limit of one act for one address.
struct Limit {
    act: SignInAct,
    /// Acts of one visitor: a stranger uses up a share, not the whole, so the member gets in.
    of_visitor: i64,
    /// Acts of everybody.
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
/// Codes tried. With eight digits, somebody who uses it all for a year guesses right once in 380.
const TRIES: Limit = Limit {
    act: SignInAct::Try,
    of_visitor: 10,
    of_all: 30,
    span: Duration::from_secs(60 * 60),
};

/// Who is counted.
pub(crate) struct Subject<'a> {
    email_key: &'a str,
    network: String,
}

/// What counting a try gave.
pub(crate) enum Try {
    /// It may be compared; whether it is the last one before all are refused.
    Allowed { is_last: bool },
    /// Refused until then.
    Refused(Timestamp),
}

impl<'a> Subject<'a> {
    pub(crate) fn new(email_key: &'a str, visitor: Option<IpAddr>) -> Self {
        // Empty stands for everybody.
        let network = visitor.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        Self { email_key, network }
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
        for network in [self.network.as_str(), ""] {
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
        // The visitor first: who is over his own share does not use up that of the others.
        for (network, max) in [
            (self.network.as_str(), limit.of_visitor),
            ("", limit.of_all),
        ] {
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
    let environments = environments::of_workspace(tx, member.workspace)
        .await
        .map_err(Internal::new)?;
    for env in environments {
        let record = AuditRecord {
            id: ctx.ids.next(&*ctx.clock),
            actor: "anonymous",
            action: "sign_in.refused",
            target: &member.id.to_string(),
            outcome: Outcome::Denied,
            detail: serde_json::json!({"reason": "too many wrong codes"}),
            request_id: "",
            at: ctx.clock.now(),
        };
        keystead_events::audit(tx.in_environment(env), &record)
            .await
            .map_err(Internal::new)?;
    }
    Ok(())
}
