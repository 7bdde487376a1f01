//! Local rate limits of connections (AK-112, AK-114).

use crate::{Error, connections::RateLimit, error::Result};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use keystead_types::ConnectionId;
use moka::sync::Cache;
use std::{num::NonZeroU32, sync::Arc, time::Duration};

/// How long a call queues before it is refused.
const LONGEST_QUEUE: Duration = Duration::from_secs(2);

struct Limiter {
    limit: RateLimit,
    minute: DefaultDirectRateLimiter,
    hour: Option<DefaultDirectRateLimiter>,
}

/// One limiter per connection; a changed limit starts afresh.
pub(crate) struct Limiters(Cache<ConnectionId, Arc<Limiter>>);

impl Default for Limiters {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(10_000).time_to_idle(Duration::from_secs(3600)).build())
    }
}

impl Limiters {
    /// Waits for a place, at most two seconds.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub(crate) async fn pass(&self, connection: ConnectionId, limit: RateLimit) -> Result<()> {
        let limiter = match self.0.get(&connection).filter(|limiter| limiter.limit == limit) {
            Some(limiter) => limiter,
            None => {
                let limiter = Arc::new(Limiter::new(limit));
                self.0.insert(connection, Arc::clone(&limiter));
                limiter
            }
        };
        let passed = tokio::time::timeout(LONGEST_QUEUE, async {
            limiter.minute.until_ready().await;
            if let Some(hour) = &limiter.hour {
                hour.until_ready().await;
            }
        })
        .await;
        passed.map_err(|_| Error::RateLimited(60_u64.div_ceil(u64::from(limit.per_minute.max(1)))))
    }
}

impl Limiter {
    fn new(limit: RateLimit) -> Self {
        let at_least_one = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let minute = Quota::per_minute(at_least_one(limit.per_minute)).allow_burst(at_least_one(limit.burst));
        Self {
            limit,
            minute: RateLimiter::direct(minute),
            hour: limit.per_hour.map(|hour| RateLimiter::direct(Quota::per_hour(at_least_one(hour)))),
        }
    }
}
