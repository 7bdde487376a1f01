use keystead_store::{Query, StoreError, Tx, events};
use keystead_types::{EventId, OrganizationId, Timestamp};
use serde::Serialize;

/// Something that happened.
#[derive(Clone, PartialEq, Debug)]
pub struct NewEvent<'a> {
    /// Its id; subscribers recognise repeated deliveries by it.
    pub id: EventId,
    /// `object.what_happened`, never renamed.
    pub kind: &'static str,
    /// What it happened to, in the words of the contract.
    pub object: &'static str,
    /// The organization concerned.
    pub organization_id: Option<OrganizationId>,
    /// Name for people.
    pub display_name: Option<&'a str>,
    /// The object as the contract shows it. No secrets.
    pub data: serde_json::Value,
    /// When.
    pub at: Timestamp,
}

/// The event as subscribers are sent it (AK-620, DR-260).
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Envelope {
    /// Version of this form: `1`.
    pub spec_version: &'static str,
    /// `evt_…`.
    pub id: String,
    /// `object.what_happened`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it happened to, in the words of the contract.
    pub object: String,
    /// RFC 3339 with nanoseconds.
    pub occurred_at: String,
    /// `env_…`.
    pub environment_id: String,
    /// `org_…`, when an organization is concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The object as the contract shows it.
    pub data: serde_json::Value,
}

impl Envelope {
    /// The envelope of an event in the outbox.
    #[must_use]
    pub fn of(event: &events::Event) -> Self {
        Self {
            spec_version: "1",
            id: event.id.to_string(),
            kind: event.kind.clone(),
            object: event.object.clone(),
            occurred_at: event.occurred_at.to_rfc3339_nanos(),
            environment_id: event.environment.to_string(),
            organization_id: event.organization_id.map(|id| id.to_string()),
            display_name: event.display_name.clone(),
            data: event.data.clone(),
        }
    }
}

/// Adds the event to the outbox of the environment of the transaction; it exists with the commit.
///
/// Gives it as subscribers will be sent it.
///
/// # Errors
/// [`StoreError`]; the transaction is then lost.
pub async fn emit(tx: &mut Tx, event: &NewEvent<'_>) -> Result<Envelope, StoreError> {
    let row = events::Event {
        environment: tx.env(),
        id: event.id,
        kind: event.kind.to_owned(),
        object: event.object.to_owned(),
        organization_id: event.organization_id,
        display_name: event.display_name.map(str::to_owned),
        data: event.data.clone(),
        occurred_at: event.at,
    };
    events::insert(tx, &row).await?;
    Ok(Envelope::of(&row))
}
