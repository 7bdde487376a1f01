//! How many links are made for one user (spec 4.3).

use crate::{Error, accounts::AccountKey, error::Result};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use keystead_types::EnvironmentId;
use std::num::NonZeroU32;

/// Links for one user and minute.
const DEFAULT: u32 = 60;
/// Users of whom the rate is remembered before those with a full one are forgotten.
const REMEMBERED: usize = 10_000;

type Key = (EnvironmentId, String);

/// Counts links by the user they are made for, per node.
pub(crate) struct LinkRate(Option<DefaultKeyedRateLimiter<Key>>);

impl Default for LinkRate {
    fn default() -> Self {
        Self::new(NonZeroU32::new(DEFAULT))
    }
}

impl LinkRate {
    /// `None` is unlimited.
    pub(crate) fn new(per_minute: Option<NonZeroU32>) -> Self {
        Self(per_minute.map(|per_minute| RateLimiter::keyed(Quota::per_minute(per_minute))))
    }

    /// Counts a link for the user that `key` names, or for the account when it names no user.
    ///
    /// # Errors
    /// [`Error::TooManyLinks`].
    pub(crate) fn count(&self, env: EnvironmentId, key: &AccountKey) -> Result<()> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        let Some(name) = key.identifier.as_ref().or(key.id.as_ref()) else {
            return Ok(());
        };
        if limiter.len() > REMEMBERED {
            limiter.retain_recent();
        }
        limiter.check_key(&(env, name.clone())).map_err(|until| {
            Error::TooManyLinks(until.wait_time_from(DefaultClock::default().now()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_types::Id;

    /// Spec 4.3: per identifier, and a refusal says when to try again.
    #[test]
    fn links_are_counted_by_user_and_environment() {
        let rate = LinkRate::new(NonZeroU32::new(2));
        let of = |env: u64, name: &str| {
            let key = AccountKey {
                identifier: Some(name.to_owned()),
                ..AccountKey::default()
            };
            rate.count(EnvironmentId::from_number(env), &key)
        };
        assert!(of(1, "ada").is_ok() && of(1, "ada").is_ok());
        let Err(Error::TooManyLinks(wait)) = of(1, "ada") else {
            panic!("the third is one too many")
        };
        assert!(wait.as_secs() > 20, "{wait:?}");
        assert!(of(1, "bob").is_ok() && of(2, "ada").is_ok());
    }
}
