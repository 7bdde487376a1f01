use aws_lc_rs::digest::{Context, SHA256};
use keystead_store::{
    Query, StoreError, Tx,
    audit_records::{self, AuditRow},
};
use keystead_types::{AuditId, EnvironmentId, Timestamp};

/// Who did what, to what, and how it ended.
#[derive(Clone, PartialEq, Debug)]
pub struct AuditRecord<'a> {
    /// Its id.
    pub id: AuditId,
    /// Id of the client, member or job that did it.
    pub actor: &'a str,
    /// Permission or use case, `object.verb`.
    pub action: &'a str,
    /// Id of what it was done to; empty when there is none.
    pub target: &'a str,
    /// How it ended.
    pub outcome: Outcome,
    /// More about it. No secrets, no personal data beyond ids.
    pub detail: serde_json::Value,
    /// Request it was done in.
    pub request_id: &'a str,
    /// When.
    pub at: Timestamp,
}

/// How an audited action ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was not allowed.
    Denied,
    /// It was tried and did not work.
    Failure,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied => "denied",
            Self::Failure => "failure",
        }
    }
}

/// Appends the record to the audit chain of the environment of the transaction.
///
/// Call it late in the transaction: on PostgreSQL the lane is locked from here to the commit.
///
/// # Errors
/// [`StoreError`]; the transaction is then lost.
pub async fn audit(tx: &mut Tx, record: &AuditRecord<'_>) -> Result<(), StoreError> {
    let place = audit_records::reserve(tx).await?;
    let mut row = AuditRow {
        lane: place.lane,
        sequence: place.sequence,
        id: record.id,
        actor: record.actor.to_owned(),
        action: record.action.to_owned(),
        target: record.target.to_owned(),
        outcome: record.outcome.as_str().to_owned(),
        detail: record.detail.to_string(),
        request_id: record.request_id.to_owned(),
        occurred_at: record.at,
        previous_hash: place.hash,
        hash: [0; 32],
    };
    row.hash = hash(tx.env(), &row);
    audit_records::append(tx, &row).await
}

/// SHA-256 over a format byte and every field, each with its length before it, so that no two
/// records give the same bytes. The format byte changes when a field is added.
pub(crate) fn hash(environment: EnvironmentId, row: &AuditRow) -> [u8; 32] {
    let (environment, id) = (environment.to_string(), row.id.to_string());
    let fields: [&[u8]; 12] = [
        environment.as_bytes(),
        &row.lane.to_be_bytes(),
        &row.sequence.to_be_bytes(),
        id.as_bytes(),
        row.actor.as_bytes(),
        row.action.as_bytes(),
        row.target.as_bytes(),
        row.outcome.as_bytes(),
        row.detail.as_bytes(),
        row.request_id.as_bytes(),
        &row.occurred_at.as_micros().to_be_bytes(),
        &row.previous_hash,
    ];
    let mut context = Context::new(&SHA256);
    context.update(&[1]);
    for field in fields {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_types::Id;

    fn row() -> AuditRow {
        AuditRow {
            lane: 3,
            sequence: 7,
            id: AuditId::from_number(123_456_789_012_345),
            actor: "skc_1".into(),
            action: "organizations.create".into(),
            target: "org_2".into(),
            outcome: "success".into(),
            detail: "{}".into(),
            request_id: "r".into(),
            occurred_at: Timestamp::from_secs(1_700_000_000),
            previous_hash: [9; 32],
            hash: [0; 32],
        }
    }

    #[test]
    fn every_field_counts_and_text_cannot_move_between_fields() {
        let environment = EnvironmentId::from_number(5);
        let changes: [fn(&mut AuditRow); 12] = [
            |row| row.lane = 4,
            |row| row.sequence = 8,
            |row| row.id = AuditId::from_number(2),
            |row| row.actor.push('x'),
            |row| row.action.push('x'),
            |row| row.target.push('x'),
            |row| row.outcome.push('x'),
            |row| row.detail.push('x'),
            |row| row.request_id.push('x'),
            |row| row.occurred_at = Timestamp::EPOCH,
            |row| row.previous_hash[31] = 8,
            |row| {
                row.actor.push('o');
                row.action.remove(0);
            },
        ];
        let original = hash(environment, &row());
        for (index, change) in changes.iter().enumerate() {
            let mut changed = row();
            change(&mut changed);
            assert_ne!(hash(environment, &changed), original, "change {index}");
        }
        assert_ne!(hash(EnvironmentId::from_number(6), &row()), original);
    }

    /// The stored chains of all installations depend on this value.
    #[test]
    fn the_hash_of_a_record_never_changes() {
        let expected: [u8; 32] = [
            0x1e, 0x1b, 0xa1, 0xa4, 0xac, 0xc3, 0x20, 0xe4, 0x6e, 0xfd, 0x7c, 0x4c, 0x4c, 0x76,
            0x43, 0x53, 0x23, 0x3a, 0x6a, 0xcf, 0xff, 0xe6, 0xf5, 0x44, 0x72, 0x36, 0x1e, 0x07,
            0x29, 0xb0, 0x3f, 0xa7,
        ];
        assert_eq!(hash(EnvironmentId::from_number(5), &row()), expected);
    }
}
