//! The scopes that a user chose (AK-307).

use super::{Grounds, ScopeSelection, connection_scopes};
use crate::{Error, error::Result};

/// The scopes a user chose must be among those of the connection (AK-307).
pub(crate) fn checked_selection(
    grounds: &Grounds,
    mut selection: ScopeSelection,
) -> Result<ScopeSelection> {
    let settings = &grounds.connection.settings;
    let scopes = connection_scopes(&grounds.connection, &grounds.pattern);
    let optional = settings
        .optional_scopes
        .as_ref()
        .map(|optional| optional.scopes.as_slice())
        .unwrap_or_default();
    if let Some(outside) = selection
        .scopes
        .iter()
        .find(|scope| !scopes.contains(scope))
    {
        return Err(Error::field(
            "scope_selection.scopes",
            &format!("`{outside}` is not a scope of the connection"),
        ));
    }
    if let Some(outside) = selection
        .optional_scopes
        .iter()
        .find(|scope| !optional.contains(scope))
    {
        return Err(Error::field(
            "scope_selection.optional_scopes",
            &format!("`{outside}` is not an optional scope of the connection"),
        ));
    }
    for scope in &settings.required_scopes {
        if !selection.scopes.contains(scope) {
            selection.scopes.push(scope.clone());
        }
    }
    for scope in &settings.required_optional_scopes {
        if !selection.optional_scopes.contains(scope) {
            selection.optional_scopes.push(scope.clone());
        }
    }
    Ok(selection)
}
