//! Request rates, per node.

use crate::failure::Failure;
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use keystead_types::{EnvironmentId, ErrorCode};
use moka::sync::Cache;
use std::{
    fmt::{self, Write as _},
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// Requests per minute; `None` means unlimited. Bursts may use up a minute's worth at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// For each caller of each environment.
    pub caller: Option<NonZeroU32>,
    /// For each address that calls without a credential.
    pub anonymous: Option<NonZeroU32>,
    /// For each environment, all its callers together (DB-240).
    pub environment: Option<NonZeroU32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            caller: NonZeroU32::new(60_000),
            anonymous: NonZeroU32::new(600),
            environment: None,
        }
    }
}

/// Fields of a response that say what the caller may still do (DB-242), in the form of the IETF
/// draft "RateLimit header fields for HTTP".
const FIELDS: [HeaderName; 2] = [
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("ratelimit"),
];

/// Whether it is one of the fields about rates, which keep their name over REST.
pub(crate) fn is_field(name: &HeaderName) -> bool {
    FIELDS.contains(name)
}

/// What is left of a rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// The rate.
    pub per_minute: NonZeroU32,
    /// Calls that may follow at once.
    pub remaining: u32,
    /// Until the next call may come; zero while there are some left.
    pub wait: Duration,
}

impl Allowance {
    /// Seconds until the whole rate is available again, rounded up.
    fn reset(&self) -> u64 {
        let used = u64::from(self.per_minute.get().saturating_sub(self.remaining));
        (used * 60).div_ceil(u64::from(self.per_minute.get()))
    }
}

/// What a call used up, as response fields.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RateFields {
    policy: String,
    limit: String,
}

impl RateFields {
    fn add(&mut self, name: &str, allowance: &Allowance) {
        let (per_minute, left, reset) =
            (allowance.per_minute, allowance.remaining, allowance.reset());
        let comma = if self.policy.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(self.policy, "{comma}\"{name}\";q={per_minute};w=60");
        let _ = write!(self.limit, "{comma}\"{name}\";r={left};t={reset}");
    }

    /// The fields, unless no rate is limited.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, text) in FIELDS.into_iter().zip([&self.policy, &self.limit]) {
            if let Ok(value) = HeaderValue::from_str(text)
                && !text.is_empty()
            {
                headers.insert(name, value);
            }
        }
        headers
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// Rates per minute of many keys.
#[derive(Clone)]
pub struct Rates<K> {
    buckets: Cache<(K, NonZeroU32), Arc<Limiter>>,
    clock: DefaultClock,
}

impl<K> fmt::Debug for Rates<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rates")
    }
}

impl<K: Hash + Eq + Send + Sync + 'static> Default for Rates<K> {
    fn default() -> Self {
        // A bucket that was idle for two minutes is full again and may be forgotten.
        let buckets = Cache::builder()
            .max_capacity(100_000)
            .time_to_idle(Duration::from_secs(120))
            .build();
        Self {
            buckets,
            clock: DefaultClock::default(),
        }
    }
}

impl<K: Hash + Eq + Send + Sync + 'static> Rates<K> {
    /// Counts one call of `key`.
    ///
    /// # Errors
    /// What is left when that is nothing: the call is one too many.
    pub fn count(&self, key: K, per_minute: NonZeroU32) -> Result<Allowance, Allowance> {
        // The rate is part of the key, so that another one starts afresh.
        let limiter = self.buckets.get_with((key, per_minute), || {
            let limiter = RateLimiter::direct(Quota::per_minute(per_minute));
            Arc::new(limiter.with_middleware::<StateInformationMiddleware>())
        });
        match limiter.check() {
            Ok(state) => Ok(Allowance {
                per_minute,
                remaining: state.remaining_burst_capacity(),
                wait: Duration::ZERO,
            }),
            Err(until) => Err(Allowance {
                per_minute,
                remaining: 0,
                wait: until.wait_time_from(self.clock.now()),
            }),
        }
    }
}

/// Counts failures of many keys, and turns a key away for a while after too many.
#[derive(Clone, Debug)]
pub struct FailureRates<K: Hash + Eq + Send + Sync + 'static> {
    rates: Rates<K>,
    turned_away: Cache<K, Instant>,
    per_minute: Option<NonZeroU32>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> FailureRates<K> {
    /// For at most `per_minute` failures of a key; `None` turns nobody away.
    pub fn new(per_minute: Option<NonZeroU32>) -> Self {
        let turned_away = Cache::builder()
            .max_capacity(100_000)
            .time_to_live(Duration::from_secs(120))
            .build();
        Self {
            rates: Rates::default(),
            turned_away,
            per_minute,
        }
    }

    /// Whether the key may try.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn check(&self, key: &K) -> Result<(), Duration> {
        let Some(until) = self.turned_away.get(key) else {
            return Ok(());
        };
        let wait = until.saturating_duration_since(Instant::now());
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }

    /// Counts a failure.
    pub fn failed(&self, key: K) {
        if let Some(per_minute) = self.per_minute
            && let Err(refused) = self.rates.count(key.clone(), per_minute)
        {
            self.turned_away.insert(key, Instant::now() + refused.wait);
        }
    }
}

/// What stands for one visitor: the address, or for IPv6 the network of 64 bits, of which anybody
/// has all addresses.
pub fn visitor(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(
            || IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
            IpAddr::V4,
        ),
    }
}

/// Counts calls of the contract.
#[derive(Debug, Default)]
pub(crate) struct RateLimits(Rates<(EnvironmentId, Option<String>)>);

impl RateLimits {
    /// Counts one call of `subject` (of the whole environment when `None`) and notes in `fields`
    /// what is left.
    pub(crate) fn count(
        &self,
        environment: EnvironmentId,
        subject: Option<String>,
        per_minute: Option<NonZeroU32>,
        fields: &mut RateFields,
    ) -> Result<(), Failure> {
        let Some(per_minute) = per_minute else {
            return Ok(());
        };
        let name = if subject.is_some() {
            "caller"
        } else {
            "environment"
        };
        match self.0.count((environment, subject), per_minute) {
            Ok(left) => {
                fields.add(name, &left);
                Ok(())
            }
            Err(none) => {
                fields.add(name, &none);
                Err(Failure {
                    retry_after: Some(none.wait),
                    rate: Some(Box::new(std::mem::take(fields))),
                    ..Failure::new(ErrorCode::RateLimited)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_types::Id;

    #[test]
    fn each_subject_has_its_own_rate_and_a_refusal_says_when_to_retry() {
        let limits = RateLimits::default();
        let environment = EnvironmentId::from_number(1);
        let count = |subject: &str| {
            let mut fields = RateFields::default();
            let subject = Some(subject.to_owned());
            let counted = limits.count(environment, subject, NonZeroU32::new(2), &mut fields);
            counted.map(|()| fields.headers())
        };
        assert_eq!(count("a").unwrap()["ratelimit"], "\"caller\";r=1;t=30");
        let last = count("a").unwrap();
        assert_eq!(last["ratelimit"], "\"caller\";r=0;t=60");
        assert_eq!(last["ratelimit-policy"], "\"caller\";q=2;w=60");
        let refused = count("a").unwrap_err();
        assert_eq!(refused.code, ErrorCode::RateLimited);
        assert!(refused.retry_after.unwrap() > Duration::from_secs(20));
        assert_eq!(
            refused.rate.unwrap().headers()["ratelimit"],
            "\"caller\";r=0;t=60"
        );
        assert!(count("b").is_ok());
        let mut fields = RateFields::default();
        assert!(limits.count(environment, None, None, &mut fields).is_ok());
        assert!(fields.headers().is_empty());
    }

    /// AK spec 4.3: only failures count, and each visitor for himself.
    #[test]
    fn too_many_failures_turn_a_visitor_away() {
        let failures = FailureRates::new(NonZeroU32::new(3));
        for _ in 0..10 {
            assert!(failures.check(&"a").is_ok(), "success costs nothing");
        }
        for _ in 0..4 {
            assert!(failures.check(&"a").is_ok());
            failures.failed("a");
        }
        let wait = failures.check(&"a").unwrap_err();
        assert!(
            wait > Duration::from_secs(10) && wait <= Duration::from_secs(20),
            "{wait:?}"
        );
        assert!(failures.check(&"b").is_ok());
        let unlimited = FailureRates::new(None);
        for _ in 0..100 {
            unlimited.failed("a");
        }
        assert!(unlimited.check(&"a").is_ok());
    }

    #[test]
    fn an_ipv6_network_is_one_visitor() {
        let of = |text: &str| visitor(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
