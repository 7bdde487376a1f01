//! Local rate limits of connections (AK-112, AK-114).

use crate::{Error, accounts::Grounds, connections::RateLimit, error::Result};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock};
use keystead_types::{ConnectedAccountId, ConnectionId};
use moka::sync::Cache;
use std::{num::NonZeroU32, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a call queues before it is refused.
const LONGEST_QUEUE: Duration = Duration::from_secs(2);

struct Limiter {
    limit: RateLimit,
    minute: DefaultDirectRateLimiter,
    hour: Option<DefaultDirectRateLimiter>,
}

/// One limiter per connection, and one per account that has a lower limit of its own; a changed
/// limit starts afresh.
pub(crate) struct Limiters(Cache<Limited, Arc<Limiter>>);

/// What a limit is for; no account means the whole connection.
type Limited = (ConnectionId, Option<ConnectedAccountId>);

impl Default for Limiters {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(10_000)
                .time_to_idle(Duration::from_secs(3600))
                .build(),
        )
    }
}

impl Limiters {
    /// Waits for a place, at most two seconds.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub(crate) async fn pass(&self, grounds: &Grounds) -> Result<()> {
        let of_connection = grounds.connection_limit();
        let with_account = grounds.policy().rate_limit;
        let own = with_account.filter(|_| with_account != of_connection);
        let limits = [(None, of_connection), (Some(grounds.account.id), own)];
        let deadline = Instant::now() + LONGEST_QUEUE;
        for (account, limit) in limits {
            let Some(limit) = limit else { continue };
            let limiter = self.limiter((grounds.connection.id, account), limit);
            limiter
                .pass(deadline)
                .await
                .map_err(|wait| Error::RateLimited(whole_seconds(wait)))?;
        }
        Ok(())
    }

    /// One for all who ask at the same moment.
    fn limiter(&self, limited: Limited, limit: RateLimit) -> Arc<Limiter> {
        let new = || Arc::new(Limiter::new(limit));
        self.0
            .entry(limited)
            .or_insert_with_if(new, |known| known.limit != limit)
            .into_value()
    }
}

/// Rounded up: whoever waits as long finds a place.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl Limiter {
    /// Waits for a place until `deadline`; the error is how long it takes until there is one.
    async fn pass(&self, deadline: Instant) -> std::result::Result<(), Duration> {
        for limiter in std::iter::once(&self.minute).chain(&self.hour) {
            let queued = tokio::time::timeout_at(deadline, limiter.until_ready()).await;
            if queued.is_err() {
                let now = limiter.clock().now();
                limiter.check().map_err(|full| full.wait_time_from(now))?;
            }
        }
        Ok(())
    }

    fn new(limit: RateLimit) -> Self {
        let at_least_one = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let minute = Quota::per_minute(at_least_one(limit.per_minute))
            .allow_burst(at_least_one(limit.burst));
        Self {
            limit,
            minute: RateLimiter::direct(minute),
            hour: limit
                .per_hour
                .map(|hour| RateLimiter::direct(Quota::per_hour(at_least_one(hour)))),
        }
    }
}
