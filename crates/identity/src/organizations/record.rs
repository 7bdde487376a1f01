//! What the audit log and event receivers learn of a change.

use super::{Error, Organization, features, metadata};
use crate::{Actor, Context, audit};
use keystead_events::NewEvent;
use keystead_store::Tx;
use keystead_types::{Internal, Timestamp};
use serde_json::{Map, Value, json};

pub(super) async fn created(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    new: &Organization,
) -> Result<(), Error> {
    let detail = json!({ "display_name": new.display_name, "external_id": new.external_id });
    record(
        tx,
        ctx,
        actor,
        "organization.created",
        new,
        payload(new)?,
        detail,
    )
    .await
}

pub(super) async fn updated(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    old: &Organization,
    new: &Organization,
) -> Result<(), Error> {
    let detail = json!({ "changed": changed(old, new) });
    record(
        tx,
        ctx,
        actor,
        "organization.updated",
        new,
        payload(new)?,
        detail,
    )
    .await
}

pub(super) async fn deleted(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    old: &Organization,
) -> Result<(), Error> {
    let detail = json!({ "display_name": old.display_name, "external_id": old.external_id });
    let mut data = payload(old)?;
    data.insert("deleted_at".to_owned(), json!(ctx.clock.now().to_string()));
    record(tx, ctx, actor, "organization.deleted", old, data, detail).await
}

async fn record(
    tx: &mut Tx,
    ctx: &Context,
    actor: &Actor,
    kind: &'static str,
    organization: &Organization,
    data: Map<String, Value>,
    detail: Value,
) -> Result<(), Error> {
    let event = NewEvent {
        id: ctx.ids.next(&*ctx.clock),
        kind,
        object: "Organization",
        organization_id: Some(organization.id),
        display_name: Some(&organization.display_name),
        data: Value::Object(data),
        at: ctx.clock.now(),
    };
    keystead_events::emit(tx, &event)
        .await
        .map_err(Internal::new)?;
    Ok(audit::record(tx, ctx, actor, kind, &organization.id.to_string(), detail).await?)
}

/// The organization as events show it (DR-301).
fn payload(organization: &Organization) -> Result<Map<String, Value>, Internal> {
    let metadata = metadata(organization)?;
    let features: Vec<Value> = features(organization)?
        .into_iter()
        .map(|(name, enabled)| json!({ "name": name, "enabled": enabled }))
        .collect();
    let time = |at: Timestamp| Value::from(at.to_string());
    let members = [
        ("id", Value::from(organization.id.to_string())),
        (
            "display_name",
            Value::from(organization.display_name.clone()),
        ),
        ("external_id", Value::from(organization.external_id.clone())),
        ("region_code", Value::from(organization.region.as_str())),
        ("create_time", time(organization.created_at)),
        ("update_time", time(organization.updated_at)),
        (
            "metadata",
            if metadata.is_empty() {
                Value::Null
            } else {
                json!(metadata)
            },
        ),
        ("settings", json!({ "features": features })),
    ];
    Ok(members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

/// Names of the fields that differ.
fn changed(old: &Organization, new: &Organization) -> Vec<&'static str> {
    let fields = [
        ("display_name", old.display_name != new.display_name),
        ("external_id", old.external_id != new.external_id),
        ("slug", old.slug != new.slug),
        ("logo_url", old.logo_url != new.logo_url),
        ("metadata", old.metadata != new.metadata),
        ("features", old.features != new.features),
    ];
    fields
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name)
        .collect()
}
