use keystead_store::{Query, StoreError, Tx, events};
use keystead_types::{EventId, OrganizationId, Timestamp};

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

/// Adds the event to the outbox of the environment of the transaction; it exists with the commit.
///
/// # Errors
/// [`StoreError`]; the transaction is then lost.
pub async fn emit(tx: &mut Tx, event: &NewEvent<'_>) -> Result<(), StoreError> {
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
    events::insert(tx, &row).await
}
