//! What the audit log and event receivers learn of a change.

use super::{Error, Organization};
use crate::{Actor, Context, audit};
use keystead_store::Tx;
use serde_json::json;

pub(super) async fn created(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    new: &Organization,
) -> Result<(), Error> {
    let detail = json!({ "display_name": new.display_name });
    Ok(audit::record(
        tx,
        ctx,
        actor,
        "organization.created",
        &new.id.to_string(),
        detail,
    )
    .await?)
}

pub(super) async fn updated(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    _old: &Organization,
    new: &Organization,
) -> Result<(), Error> {
    let detail = json!({ "display_name": new.display_name });
    Ok(audit::record(
        tx,
        ctx,
        actor,
        "organization.updated",
        &new.id.to_string(),
        detail,
    )
    .await?)
}

pub(super) async fn deleted(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    old: &Organization,
) -> Result<(), Error> {
    let detail = json!({ "display_name": old.display_name });
    Ok(audit::record(
        tx,
        ctx,
        actor,
        "organization.deleted",
        &old.id.to_string(),
        detail,
    )
    .await?)
}
