//! How requests of a connection are made (AK-112, AK-114).

use super::ConnectionSettings;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, time::Duration};

/// Longest time of one execution (AK-414).
pub const CALL_CEILING: Duration = Duration::from_secs(55);

/// How requests of a connection are made (AK-112).
#[derive(Clone, PartialEq, Debug)]
pub struct RequestPolicy {
    /// Time for one call, waiting for a place included; at most the ceiling.
    pub timeout: Duration,
    /// `User-Agent` sent upstream.
    pub user_agent: Option<String>,
    /// Headers added to every call.
    pub base_headers: BTreeMap<String, String>,
    /// Tries after the first.
    pub retries: u32,
    /// Growth of the pause between tries.
    pub backoff: Backoff,
    /// Calls per minute, hour, and at once.
    pub rate_limit: Option<RateLimit>,
}

/// Pause between tries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backoff {
    /// Doubles.
    Exponential,
    /// Grows by the same step.
    Linear,
    /// Stays.
    Fixed,
}

/// Local rate limit of a connection (AK-112, AK-114).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimit {
    /// Calls a minute.
    pub per_minute: u32,
    /// Calls an hour.
    pub per_hour: Option<u32>,
    /// Calls at once.
    pub burst: u32,
}

impl RequestPolicy {
    /// Reads the policy of a connection and lets the account only lower it.
    pub fn of(settings: &ConnectionSettings, api_config: &Map<String, Value>) -> Self {
        let get = |name: &str| {
            settings
                .context
                .get(name)
                .or_else(|| settings.static_config.get(name))
        };
        let seconds = |value: Option<&Value>| {
            value
                .and_then(number)
                .filter(|seconds| *seconds >= 1)
                .map(|seconds| Duration::from_secs(seconds.into()))
        };
        let mut timeout = seconds(get("timeout"))
            .unwrap_or(CALL_CEILING)
            .min(CALL_CEILING);
        if let Some(lower) = seconds(api_config.get("timeout")) {
            timeout = timeout.min(lower);
        }
        let mut rate_limit = rate_limit(get("rate_limiting"), get("rate_limit"));
        if let Some(lower) = api_config
            .get("rate_limit")
            .and_then(number)
            .filter(|n| *n > 0)
        {
            let limit = rate_limit.get_or_insert(RateLimit {
                per_minute: lower,
                per_hour: None,
                burst: lower,
            });
            limit.per_minute = limit.per_minute.min(lower);
            limit.burst = limit.burst.min(lower);
        }
        Self {
            timeout,
            user_agent: get("user_agent")
                .and_then(Value::as_str)
                .map(ToOwned::to_owned),
            base_headers: get("base_headers")
                .and_then(Value::as_object)
                .map(|headers| {
                    headers
                        .iter()
                        .filter_map(|(name, value)| {
                            Some((name.clone(), value.as_str()?.to_owned()))
                        })
                        .collect()
                })
                .unwrap_or_default(),
            retries: get("retry_attempts").and_then(number).unwrap_or(0).min(5),
            backoff: match get("backoff_strategy").and_then(Value::as_str) {
                Some("linear") => Backoff::Linear,
                Some("fixed") => Backoff::Fixed,
                _ => Backoff::Exponential,
            },
            rate_limit,
        }
    }
}

fn rate_limit(detailed: Option<&Value>, shorthand: Option<&Value>) -> Option<RateLimit> {
    let detailed = detailed.and_then(Value::as_object);
    let from = |name: &str| {
        detailed
            .and_then(|limits| limits.get(name))
            .and_then(number)
            .filter(|limit| *limit > 0)
    };
    let per_minute =
        from("requests_per_minute").or_else(|| shorthand.and_then(number).filter(|n| *n > 0))?;
    Some(RateLimit {
        per_minute,
        per_hour: from("requests_per_hour"),
        burst: from("burst_limit").unwrap_or(per_minute),
    })
}

/// Numbers arrive as doubles or text.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked range"
)]
pub(super) fn number(value: &Value) -> Option<u32> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    (0.0..=f64::from(u32::MAX))
        .contains(&number)
        .then_some(number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(context: &Value) -> ConnectionSettings {
        ConnectionSettings {
            context: context.as_object().unwrap().clone(),
            ..ConnectionSettings::default()
        }
    }

    /// Part of AK-112
    #[test]
    fn the_account_may_only_lower_the_policy() {
        let connection = settings(
            &json!({"timeout": 20, "rate_limit": 100, "retry_attempts": 3, "backoff_strategy": "linear",
            "user_agent": "Acme/1", "base_headers": {"X-App": "acme"}}),
        );
        let account = json!({"timeout": 60, "rate_limit": 10});
        let policy = RequestPolicy::of(&connection, account.as_object().unwrap());
        assert_eq!(policy.timeout, Duration::from_secs(20));
        assert_eq!(policy.rate_limit.map(|limit| limit.per_minute), Some(10));
        assert_eq!((policy.retries, policy.backoff), (3, Backoff::Linear));
        assert_eq!(policy.base_headers["X-App"], "acme");
        let lower = json!({"timeout": 5});
        assert_eq!(
            RequestPolicy::of(&connection, lower.as_object().unwrap()).timeout,
            Duration::from_secs(5)
        );
    }

    /// Part of AK-414
    #[test]
    fn nothing_exceeds_the_ceiling() {
        let policy = RequestPolicy::of(&settings(&json!({"timeout": 600})), &Map::new());
        assert_eq!(policy.timeout, CALL_CEILING);
    }

    /// Part of AK-112
    #[test]
    fn the_detailed_rate_limit_wins() {
        let connection = settings(&json!({"rate_limit": 5,
            "rate_limiting": {"requests_per_minute": 60, "requests_per_hour": 1000, "burst_limit": 10}}));
        let limit = RequestPolicy::of(&connection, &Map::new())
            .rate_limit
            .unwrap();
        assert_eq!(
            (limit.per_minute, limit.per_hour, limit.burst),
            (60, Some(1000), 10)
        );
    }
}
