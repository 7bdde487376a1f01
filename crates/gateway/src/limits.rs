//! Request rates, per node.

use crate::failure::Failure;
use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use keystead_types::{EnvironmentId, ErrorCode};
use moka::sync::Cache;
use std::{num::NonZeroU32, sync::Arc, time::Duration};

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

/// Whose rate is counted. The rate is part of the key, so that a changed limit starts afresh.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Bucket {
    environment: EnvironmentId,
    subject: Option<String>,
    per_minute: NonZeroU32,
}

/// Counts calls.
#[derive(Debug)]
pub(crate) struct RateLimits {
    buckets: Cache<Bucket, Arc<DefaultDirectRateLimiter>>,
    clock: DefaultClock,
}

impl RateLimits {
    pub(crate) fn new() -> Self {
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

    /// Counts one call of `subject` (of the whole environment when `None`).
    pub(crate) fn count(
        &self,
        environment: EnvironmentId,
        subject: Option<String>,
        per_minute: Option<NonZeroU32>,
    ) -> Result<(), Failure> {
        let Some(per_minute) = per_minute else {
            return Ok(());
        };
        let bucket = Bucket {
            environment,
            subject,
            per_minute,
        };
        let limiter = self.buckets.get_with(bucket, || {
            Arc::new(RateLimiter::direct(Quota::per_minute(per_minute)))
        });
        limiter.check().map_err(|until| Failure {
            retry_after: Some(until.wait_time_from(self.clock.now())),
            ..Failure::new(ErrorCode::RateLimited)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_types::Id;

    #[test]
    fn each_subject_has_its_own_rate_and_a_refusal_says_when_to_retry() {
        let limits = RateLimits::new();
        let environment = EnvironmentId::from_number(1);
        let count =
            |subject: &str| limits.count(environment, Some(subject.to_owned()), NonZeroU32::new(2));
        assert!(count("a").is_ok() && count("a").is_ok());
        let refused = count("a").unwrap_err();
        assert_eq!(refused.code, ErrorCode::RateLimited);
        assert!(refused.retry_after.unwrap() > Duration::from_secs(20));
        assert!(count("b").is_ok());
        assert!(limits.count(environment, None, None).is_ok());
    }
}
