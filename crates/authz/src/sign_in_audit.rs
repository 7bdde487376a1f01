//! Sign-ins in the audit log. The dashboard belongs to no environment, so that each one of the
//! member's workspace gets a record.

use keystead_events::{AuditRecord, Outcome};
use keystead_identity::{Actor, Context, members::Member};
use keystead_store::{admin, entities::environments};
use keystead_types::Internal;

/// What happened; the target is the member.
pub(crate) struct SignInRecord<'a> {
    pub(crate) actor: &'a Actor,
    pub(crate) action: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) detail: serde_json::Value,
}

pub(crate) async fn record(
    tx: &mut admin::Tx,
    ctx: &Context,
    member: &Member,
    new: SignInRecord<'_>,
) -> Result<(), Internal> {
    let environments = environments::of_workspace(tx, member.workspace)
        .await
        .map_err(Internal::new)?;
    for env in environments {
        let record = AuditRecord {
            id: ctx.ids.next(&*ctx.clock),
            actor: &new.actor.name,
            action: new.action,
            target: &member.id.to_string(),
            outcome: new.outcome,
            detail: new.detail.clone(),
            request_id: new.actor.request_id.as_deref().unwrap_or_default(),
            at: ctx.clock.now(),
        };
        keystead_events::audit(tx.in_environment(env), &record)
            .await
            .map_err(Internal::new)?;
    }
    Ok(())
}

/// A member who did it in person.
pub(crate) fn in_person(member: &Member) -> Actor {
    Actor {
        name: member.id.to_string(),
        request_id: None,
    }
}
