use crate::audit::hash;
use aws_lc_rs::digest::{Context, SHA256};
use keystead_store::{Query, StoreError, audit_records};

/// Records read at once.
const BATCH: u32 = 500;

/// An audit trail that is whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// Records in it.
    pub records: u64,
    /// Hash over the ends of all chains. Keep it elsewhere: somebody who can write to the database
    /// can also compute new chains, and only an older value kept outside shows that.
    pub anchor: [u8; 32],
}

/// What is wrong with an audit trail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChainFault {
    /// The record is absent.
    Missing,
    /// The record does not hold the hash of the one before.
    Unlinked,
    /// The record is not what was hashed.
    Changed,
    /// The last record is not the one the chain should end with.
    WrongEnd,
    /// Records lie beyond the end of their chain.
    Stray,
}

/// The audit trail is not whole, or could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VerifyError {
    /// Somebody changed it.
    #[error("audit chain {lane}, record {sequence}: {fault:?}")]
    Broken {
        /// Chain.
        lane: u32,
        /// Place in it.
        sequence: i64,
        /// What is wrong.
        fault: ChainFault,
    },
    /// It could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Walks all audit chains of the environment, as far as they reached when it began.
///
/// # Errors
/// [`VerifyError::Broken`] names the first record that is wrong.
pub async fn verify(from: &mut impl Query) -> Result<Verified, VerifyError> {
    let environment = from.env();
    let (mut records, mut anchor) = (0, Context::new(&SHA256));
    let heads = audit_records::heads(from).await?;
    for head in &heads {
        let broken = |sequence, fault| VerifyError::Broken {
            lane: head.lane,
            sequence,
            fault,
        };
        let (mut last, mut last_hash) = (0, [0; 32]);
        while last < head.sequence {
            let rows = audit_records::chain(from, head.lane, last, BATCH).await?;
            if rows.is_empty() {
                return Err(broken(last + 1, ChainFault::Missing));
            }
            for row in rows.iter().take_while(|row| row.sequence <= head.sequence) {
                if row.sequence != last + 1 {
                    return Err(broken(last + 1, ChainFault::Missing));
                }
                if row.previous_hash != last_hash {
                    return Err(broken(row.sequence, ChainFault::Unlinked));
                }
                if row.hash != hash(environment, row) {
                    return Err(broken(row.sequence, ChainFault::Changed));
                }
                (last, last_hash) = (row.sequence, row.hash);
                records += 1;
            }
            if rows.last().is_some_and(|row| row.sequence > head.sequence) && last < head.sequence {
                return Err(broken(last + 1, ChainFault::Missing));
            }
        }
        if last_hash != head.hash {
            return Err(broken(head.sequence, ChainFault::WrongEnd));
        }
        anchor.update(&head.lane.to_be_bytes());
        anchor.update(&head.sequence.to_be_bytes());
        anchor.update(&head.hash);
    }
    if audit_records::stray(from).await? > 0 {
        return Err(VerifyError::Broken {
            lane: u32::MAX,
            sequence: 0,
            fault: ChainFault::Stray,
        });
    }
    let mut found = [0; 32];
    found.copy_from_slice(anchor.finish().as_ref());
    Ok(Verified {
        records,
        anchor: found,
    })
}
