//! Node numbers: every running process has one, and it goes into the ids the process makes.

use crate::{Execute, Fetch, Sql, StoreError, admin, sql};
use keystead_types::Timestamp;

/// Numbers there are (ten bits of an id).
pub const NODE_NUMBERS: u16 = 1024;

/// A number that was claimed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// 0 to 1023.
    pub number: u16,
    /// Which process has it: unique for each start.
    pub holder: String,
}

const LIST: Sql = sql!(
    "nodes.list",
    "SELECT number, expires_at FROM nodes ORDER BY expires_at, number"
);
const CLAIM: Sql = sql!(
    "nodes.claim",
    "INSERT INTO nodes (number, holder, expires_at) VALUES ($1, $2, $3)
     ON CONFLICT (number) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
     WHERE nodes.expires_at <= $4
     RETURNING number"
);
const HEARTBEAT: Sql = sql!(
    "nodes.heartbeat",
    "UPDATE nodes SET expires_at = $3 WHERE number = $1 AND holder = $2 AND expires_at > $4"
);
const RELEASE: Sql = sql!(
    "nodes.release",
    "UPDATE nodes SET expires_at = $3 WHERE number = $1 AND holder = $2 AND expires_at > $3"
);

pub(crate) const STATEMENTS: &[Sql] = &[LIST, CLAIM, HEARTBEAT, RELEASE];

/// Claims a number until `until`; `None` when all are in use.
///
/// Numbers that were never used come first, then those unused for longest, so that a process that
/// was paused beyond its time is unlikely to make the same id as its successor.
pub async fn claim(
    tx: &mut admin::Tx,
    holder: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<Node>, StoreError> {
    let mut known: Vec<(u16, Timestamp)> = Vec::new();
    for row in tx.fetch_all(LIST, ()).await? {
        known.push((row.get("number")?, row.get("expires_at")?));
    }
    let unused = (0..NODE_NUMBERS).filter(|number| known.iter().all(|(used, _)| used != number));
    let expired = known.iter().filter(|(_, expires_at)| *expires_at <= now);
    for number in unused.chain(expired.map(|(number, _)| *number)) {
        // Another process may have taken it since; then there is no row, and the next is tried.
        if tx
            .fetch_optional(CLAIM, (number, holder, until, now))
            .await?
            .is_some()
        {
            return Ok(Some(Node {
                number,
                holder: holder.to_owned(),
            }));
        }
    }
    Ok(None)
}

/// Keeps the number until `until`; `false` when it has expired: the process must then stop making
/// ids, because another one may have the number.
pub async fn heartbeat(
    tx: &mut admin::Tx,
    node: &Node,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    Ok(tx
        .execute(HEARTBEAT, (node.number, &node.holder, until, now))
        .await?
        == 1)
}

/// Gives the number back.
pub async fn release(tx: &mut admin::Tx, node: &Node, now: Timestamp) -> Result<bool, StoreError> {
    Ok(tx
        .execute(RELEASE, (node.number, &node.holder, now))
        .await?
        == 1)
}
