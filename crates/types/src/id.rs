//! One newtype per entity. Text form: prefix and 15 to 19 decimal digits, time-ordered.

use crate::{Clock, Timestamp};
use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
};

/// The text is not an id of the wanted kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a valid {prefix}… id")]
pub struct InvalidId {
    /// Prefix that was expected.
    pub prefix: &'static str,
}

/// Common behaviour of all ids.
pub trait Id: Copy + fmt::Display + FromStr<Err = InvalidId> + Send + Sync + 'static {
    /// Text before the digits.
    const PREFIX: &'static str;

    /// From the number.
    fn from_number(number: u64) -> Self;

    /// The number without the prefix.
    fn number(self) -> u64;
}

macro_rules! ids {
    ($dollar:tt $($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name(u64);

        impl Id for $name {
            const PREFIX: &'static str = $prefix;
            fn from_number(number: u64) -> Self { Self(number) }
            fn number(self) -> u64 { self.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text, $prefix).map(Self).ok_or(InvalidId { prefix: $prefix })
            }
        }
    )*
        /// Calls a macro with the names of all id types, for implementations of outside traits.
        #[macro_export]
        macro_rules! for_each_id {
            ($dollar callback:ident) => { $dollar callback! { $($name)* } };
        }
    };
}

ids! { $
    /// Identifies a workspace: the account that owns environments.
    WorkspaceId = "wks_";
    /// Identifies an environment: the tenant of every query.
    EnvironmentId = "env_";
    /// Identifies an organization.
    OrganizationId = "org_";
    /// Identifies an API client of an environment.
    ClientId = "skc_";
    /// Identifies one secret of a client.
    ClientSecretId = "sks_";
    /// Identifies a dashboard member.
    MemberId = "mem_";
    /// Identifies a dashboard session.
    SessionId = "ses_";
    /// Identifies a user.
    UserId = "usr_";
    /// Identifies a connection.
    ConnectionId = "conn_";
    /// Identifies a connected account.
    ConnectedAccountId = "ca_";
    /// Identifies an authorization link or flow.
    AuthRequestId = "areq_";
    /// Identifies an outgoing event.
    EventId = "evt_";
    /// Identifies an audit record.
    AuditId = "aud_";
    /// Identifies an encryption or signing key.
    KeyId = "key_";
    /// Identifies a token signing key (`kid`).
    SigningKeyId = "snk_";
    /// Identifies an issued token (`jti`).
    TokenId = "tkn_";
    /// Identifies a background job.
    JobId = "job_";
    /// Identifies one tool or proxy execution.
    ExecutionId = "exec_";
    /// Identifies a tool call log row.
    ToolCallId = "tcl_";
    /// Identifies a connection test run.
    TestRequestId = "test_";
}

/// Digits only, no sign, no leading zero, at most 19 digits and within `i64`.
fn parse(text: &str, prefix: &str) -> Option<u64> {
    let digits = text.strip_prefix(prefix)?;
    let canonical = (1..=19).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    let number: u64 = canonical.then(|| digits.parse().ok()).flatten()?;
    i64::try_from(number).is_ok().then_some(number)
}

/// Makes time-ordered ids that are unique across the nodes of one installation.
///
/// Layout: milliseconds since 2024-01-01 (41 bits), node (10 bits), sequence (12 bits). When more
/// than 4,096 ids are wanted in a millisecond the sequence runs ahead into the next one.
#[derive(Debug)]
pub struct IdGenerator {
    node: u64,
    /// `milliseconds << 12 | sequence` of the last id.
    last: AtomicU64,
}

const ID_EPOCH: Timestamp = Timestamp::from_secs(1_704_067_200);

impl IdGenerator {
    /// Makes the generator of one node; only the low ten bits of `node` count.
    pub const fn new(node: u16) -> Self {
        Self {
            node: (node & 0x3ff) as u64,
            last: AtomicU64::new(0),
        }
    }

    /// The next id.
    pub fn next<I: Id>(&self, clock: &dyn Clock) -> I {
        let millis = u64::try_from(clock.now().since(ID_EPOCH).as_millis()).unwrap_or(0);
        let floor = millis << 12;
        let step = |last: u64| Some(floor.max(last + 1));
        let last = self
            .last
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, step)
            .unwrap_or(floor);
        let ticket = floor.max(last + 1);
        let (millis, sequence) = (ticket >> 12, ticket & 0xfff);
        I::from_number(millis << 22 | self.node << 12 | sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;
    use std::collections::HashSet;

    #[test]
    fn text_round_trips_and_junk_is_refused() {
        let id: OrganizationId = "org_123456789012345678".parse().unwrap();
        assert_eq!(id.to_string(), "org_123456789012345678");
        for junk in [
            "",
            "org_",
            "org_0",
            "org_01",
            "org_+1",
            "org_1a",
            "conn_12",
            "org_99999999999999999999",
            "org_9223372036854775808",
            "ORG_1",
        ] {
            assert!(junk.parse::<OrganizationId>().is_err(), "{junk}");
        }
    }

    #[test]
    fn ids_are_unique_ordered_and_of_the_promised_length() {
        let clock = ManualClock::new(Timestamp::from_secs(1_790_000_000));
        let ids = IdGenerator::new(7);
        let made: Vec<OrganizationId> = (0..10_000).map(|_| ids.next(&clock)).collect();
        assert!(made.is_sorted());
        assert_eq!(made.iter().collect::<HashSet<_>>().len(), made.len());
        let digits = made[0].to_string().len() - 4;
        assert!((15..=19).contains(&digits), "{digits}");
    }
}
