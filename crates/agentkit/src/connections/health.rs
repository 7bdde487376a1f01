//! How a connection is doing (AK-109, AK-117, AK-333).

use super::{RateLimit, TestRun};
use crate::{
    AgentKit,
    accounts::{AccountKey, AccountStatus, connection_scopes, pattern_of},
    connections::RequestPolicy,
    error::Result,
};
use keystead_store::entities::{
    agentkit::ToolCall,
    connection_health::{self, Tally},
};
use keystead_types::{ConnectionId, EnvironmentId, Internal, Timestamp};
use serde_json::Map;
use std::time::Duration;

/// What calls and refreshes are looked at.
const PERIOD: Duration = Duration::from_secs(24 * 3600);
/// Newest calls that are looked at, so that a busy connection costs no more to look at.
const SAMPLE: u32 = 5000;
/// Failed calls that are shown.
const LAST_ERRORS: usize = 10;

/// How a connection is doing.
#[derive(Clone, PartialEq, Debug)]
pub struct ConnectionHealth {
    /// Accounts by state; states without accounts are left out.
    pub accounts: Vec<(AccountStatus, u64)>,
    /// Active accounts that lack a scope of the connection, by scope (AK-109).
    pub lacking_scopes: Vec<(String, u64)>,
    /// Refreshes of the last 24 hours that gave tokens.
    pub refreshes_succeeded: u64,
    /// Refreshes of the last 24 hours that did not.
    pub refreshes_failed: u64,
    /// Calls of the last 24 hours, the newest 5000 at most.
    pub calls: CallFigures,
    /// The newest failed calls among them.
    pub last_errors: Vec<ToolCall>,
    /// The limit that calls are held to, when there is one.
    pub rate_limit: Option<RateLimit>,
    /// The last test, when there was one (AK-116).
    pub last_test: Option<TestRun>,
}

/// Figures of calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CallFigures {
    /// Calls that were looked at.
    pub count: u64,
    /// Those that failed at the provider or before.
    pub failed: u64,
    /// Start of the oldest that was looked at.
    pub since: Option<Timestamp>,
    /// Half of them took no longer.
    pub p50: Duration,
    /// 95 of 100 took no longer.
    pub p95: Duration,
}

impl CallFigures {
    fn of(calls: &[ToolCall]) -> Self {
        let mut durations: Vec<u64> = calls
            .iter()
            .map(|call| u64::try_from(call.duration_micros).unwrap_or(0))
            .collect();
        durations.sort_unstable();
        // The smallest value that is no shorter than `percent` of all.
        let percentile = |percent: usize| {
            let rank = (durations.len() * percent).div_ceil(100).max(1);
            let micros = durations.get(rank - 1).copied().unwrap_or(0);
            Duration::from_micros(micros)
        };
        let failed = calls.iter().filter(|call| call.status != "success").count();
        Self {
            count: calls.len() as u64,
            failed: failed as u64,
            since: calls.last().map(|call| call.started_at),
            p50: percentile(50),
            p95: percentile(95),
        }
    }
}

impl AgentKit {
    /// How a connection is doing.
    ///
    /// # Errors
    /// [`crate::Error::ConnectionNotFound`].
    pub async fn connection_health(
        &self,
        env: EnvironmentId,
        id: ConnectionId,
    ) -> Result<ConnectionHealth> {
        let connection = self.connection(env, id).await?;
        let since = self.ctx().clock.now().minus(PERIOD);
        let mut read = self.ctx().db.read(env);
        let accounts = connection_health::accounts(&mut read, id).await?;
        let refreshes = connection_health::refreshes(&mut read, id, since).await?;
        let calls = connection_health::calls(&mut read, id, since, SAMPLE).await?;
        let of = |kind: &str| {
            let found = refreshes.iter().find(|tally| tally.value == kind);
            found.map_or(0, |tally| tally.total)
        };
        let accounts = accounts
            .into_iter()
            .filter_map(|tally| Some((AccountStatus::parse(&tally.value)?, tally.total)));
        Ok(ConnectionHealth {
            accounts: accounts.collect(),
            lacking_scopes: self.lacking_scopes(env, id).await?,
            refreshes_succeeded: of("connected_account.token_refresh_succeeded"),
            refreshes_failed: of("connected_account.token_refresh_failed"),
            calls: CallFigures::of(&calls),
            last_errors: calls
                .into_iter()
                .filter(|call| call.status != "success")
                .take(LAST_ERRORS)
                .collect(),
            rate_limit: RequestPolicy::of(&connection.settings, &Map::new()).rate_limit,
            last_test: self.last_connection_test(env, id).await?,
        })
    }

    /// Scopes of a connection that active accounts were not granted, with how many lack each: their
    /// users have to authorize again (AK-109). Accounts whose scopes are not known do not count.
    pub async fn lacking_scopes(
        &self,
        env: EnvironmentId,
        id: ConnectionId,
    ) -> Result<Vec<(String, u64)>> {
        let connection = self.connection(env, id).await?;
        let provider = self.provider(env, &connection.provider_key).await?;
        let wanted = connection_scopes(&connection, &pattern_of(&provider, connection.kind)?);
        let grants = connection_health::scopes(&mut self.ctx().db.read(env), id).await?;
        let grants = grants
            .into_iter()
            .map(|Tally { value, total }| Ok((serde_json::from_str(&value)?, total)))
            .collect::<serde_json::Result<Vec<(Vec<String>, u64)>>>()
            .map_err(Internal::new)?;
        let lacking = |scope: &String| {
            let without = grants
                .iter()
                .filter(|(granted, _)| !granted.is_empty() && !granted.contains(scope));
            without.map(|(_, total)| total).sum::<u64>()
        };
        Ok(wanted
            .into_iter()
            .map(|scope| {
                let total = lacking(&scope);
                (scope, total)
            })
            .filter(|(_, total)| *total > 0)
            .collect())
    }

    /// Scopes that a consent of an account would ask for and its grant does not have; none when the
    /// granted scopes are not known (AK-333).
    ///
    /// # Errors
    /// Those of finding the account.
    pub async fn missing_scopes(&self, env: EnvironmentId, key: AccountKey) -> Result<Vec<String>> {
        let grounds = self.grounds(env, key).await?;
        let granted = &grounds.account.scopes;
        if granted.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = grounds.wanted_scopes().into_iter();
        Ok(wanted.filter(|scope| !granted.contains(scope)).collect())
    }
}
