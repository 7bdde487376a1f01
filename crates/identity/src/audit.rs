use crate::{Actor, Context};
use keystead_events::{AuditRecord, Outcome};
use keystead_store::Tx;
use keystead_types::Internal;
use serde_json::Value;

/// Writes what was done into the audit log, in the transaction that does it.
pub(crate) async fn record(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    action: &'static str,
    target: &str,
    detail: Value,
) -> Result<(), Internal> {
    let record = AuditRecord {
        id: ctx.ids.next(&*ctx.clock),
        actor: &actor.name,
        action,
        target,
        outcome: Outcome::Success,
        detail,
        request_id: actor.request_id.as_deref().unwrap_or_default(),
        at: ctx.clock.now(),
    };
    keystead_events::audit(tx, &record)
        .await
        .map_err(Internal::new)
}
