//! Outbox and audit records: what happened, written in the transaction in which it happened.
//!
//! [`emit`] tells subscribers, [`audit`] tells auditors. Neither does I/O of its own, and neither
//! may be given a secret. The audit records of an environment form hash chains; [`verify`] walks
//! them.
//!
//! ```
//! use keystead_events::{AuditRecord, NewEvent, Outcome, audit, emit};
//! use keystead_store::{StoreError, Tx};
//! use keystead_types::{AuditId, EventId, OrganizationId, Timestamp};
//!
//! async fn record(tx: &mut Tx, at: Timestamp, ids: (EventId, AuditId), organization: OrganizationId) -> Result<(), StoreError> {
//!     emit(tx, &NewEvent {
//!         id: ids.0,
//!         kind: "organization.created",
//!         object: "Organization",
//!         organization_id: Some(organization),
//!         display_name: Some("Acme"),
//!         data: serde_json::json!({ "id": organization.to_string() }),
//!         at,
//!     }).await?;
//!     audit(tx, &AuditRecord {
//!         id: ids.1,
//!         actor: "skc_123456789012345",
//!         action: "organizations.create",
//!         target: &organization.to_string(),
//!         outcome: Outcome::Success,
//!         detail: serde_json::json!({}),
//!         request_id: "req_1",
//!         at,
//!     }).await
//! }
//! ```

#![forbid(unsafe_code)]

mod audit;
mod emit;
mod verify;

pub use audit::{AuditRecord, Outcome, audit};
pub use emit::{Envelope, NewEvent, emit};
pub use verify::{ChainFault, Verified, VerifyError, verify};
