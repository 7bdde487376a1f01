//! How often visitors may try links and send forms (spec 4.3), per node.

use crate::config::Limits;
use keystead_gateway::{FailureRates, Rates, visitor};
use keystead_types::{ConnectedAccountId, EnvironmentId};
use keystead_web::connect::ConnectError;
use std::{net::IpAddr, num::NonZeroU32};

/// Counts what visitors of the account-connection pages do.
pub(crate) struct ConnectLimits {
    /// SECURITY: guessing at links, by address. Opening a link that exists costs nothing, so users
    /// behind one address do not shut each other out.
    guesses: FailureRates<IpAddr>,
    /// Forms, by account.
    forms: Rates<(EnvironmentId, ConnectedAccountId)>,
    forms_per_minute: Option<NonZeroU32>,
}

impl ConnectLimits {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            guesses: FailureRates::new(NonZeroU32::new(limits.invalid_links_per_minute)),
            forms: Rates::default(),
            forms_per_minute: NonZeroU32::new(limits.forms_per_minute),
        }
    }

    /// Whether the address may open a link.
    pub(crate) fn may_open(&self, address: Option<IpAddr>) -> Result<(), ConnectError> {
        let Some(address) = address else {
            return Ok(());
        };
        self.guesses
            .check(&visitor(address))
            .map_err(|_| ConnectError::TooManyRequests)
    }

    /// Counts a link that does not exist.
    pub(crate) fn opened_nothing(&self, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.guesses.failed(visitor(address));
        }
    }

    /// Counts a form.
    pub(crate) fn form(
        &self,
        env: EnvironmentId,
        account: ConnectedAccountId,
    ) -> Result<(), ConnectError> {
        let Some(per_minute) = self.forms_per_minute else {
            return Ok(());
        };
        self.forms
            .count((env, account), per_minute)
            .map(drop)
            .map_err(|_| ConnectError::TooManyRequests)
    }
}
