//! What the use cases would refuse, before the first of them is called.

use super::{
    Change, Declaration, DeclaredConnection, DeclaredConnector,
    plan::{patched_settings, provider_key},
};
use crate::{
    AgentKit, Error,
    connections::{ConnectionSettings, check_settings, checked_name},
    error::Result,
    providers::{Provider, check_proxy_url, name_key, parse_patterns},
};
use keystead_types::Secret;
use std::sync::Arc;

impl AgentKit {
    /// Checks changes as making them would, so that a plan shows none that cannot be made, and no
    /// declaration is made by half. What depends on other changes shows when those are made.
    pub(super) fn check_changes(
        &self,
        changes: &[Change],
        declared: &Declaration<Secret<String>>,
        own: &[Arc<Provider>],
    ) -> Result<()> {
        for change in changes {
            match change {
                Change::CreateConnector(connector) => self.check_connector(connector),
                Change::UpdateConnector { declared, .. } => self.check_connector(declared),
                Change::CreateConnection(connection) => self
                    .check_new(connection, declared, own)
                    .map_err(|error| in_connection(error, &connection.name)),
                Change::UpdateConnection {
                    connection,
                    declared,
                    ..
                } => check_settings(&patched_settings(connection.settings.clone(), declared))
                    .map_err(|error| in_connection(error, &declared.name)),
                Change::DeleteConnection(_) | Change::DeleteConnector(_) => Ok(()),
            }?;
        }
        Ok(())
    }

    fn check_connector(&self, declared: &DeclaredConnector) -> Result<()> {
        let mut violations = Vec::new();
        violations.extend(check_proxy_url(&declared.proxy_url, self.dev_mode()).err());
        let patterns = parse_patterns(&declared.auth_patterns);
        violations.extend(patterns.err().into_iter().flatten());
        if violations.is_empty() {
            return Ok(());
        }
        let place = format!("connector {}", declared.name);
        Err(named(Error::Invalid(violations), &place))
    }

    fn check_new(
        &self,
        wanted: &DeclaredConnection<Secret<String>>,
        declared: &Declaration<Secret<String>>,
        own: &[Arc<Provider>],
    ) -> Result<()> {
        checked_name(wanted.name.clone())?;
        let key = name_key(&wanted.connector);
        let mut made_before = declared.connectors.iter();
        if provider_key(self, &wanted.connector, own).is_none()
            && !made_before.any(|connector| name_key(&connector.name) == key)
        {
            return Err(Error::ProviderNotFound(wanted.connector.clone()));
        }
        check_settings(&patched_settings(ConnectionSettings::default(), wanted))
    }
}

fn in_connection(error: Error, name: &str) -> Error {
    named(error, &format!("connection {name}"))
}

/// Puts before each field which part of the declaration it is in.
fn named(error: Error, place: &str) -> Error {
    let Error::Invalid(mut violations) = error else {
        return error;
    };
    for violation in &mut violations {
        violation.field = format!("{place}: {}", violation.field);
    }
    Error::Invalid(violations)
}
