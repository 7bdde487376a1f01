//! Rules that connection settings must keep (AK-105, AK-110, AK-124).

use super::{ConnectionSettings, SmartSettings};
use crate::{
    Error,
    error::Result,
    providers::{check_proxy_url, is_endpoint},
};

/// Parameters of the authorization request that only the server sets (AK-124).
const RESERVED: &[&str] = &[
    "client_id",
    "client_secret",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "aud",
    "resource",
    "request",
    "request_uri",
];

/// Checks settings before they are stored.
///
/// # Errors
/// [`Error::Invalid`] naming the field.
pub fn check_settings(settings: &ConnectionSettings) -> Result<()> {
    super::api_key::check(settings)?;
    super::allow_list::check(settings)?;
    for name in settings.extra_authorize_params.keys() {
        if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(Error::field(
                "extensions.extra_authorize_params",
                &format!("may not set the reserved parameter `{name}`"),
            ));
        }
    }
    if let Some(method) = settings
        .token_endpoint_auth_method
        .as_deref()
        .filter(|text| !text.is_empty())
        && !["client_secret_basic", "client_secret_post", "none"].contains(&method)
    {
        return Err(Error::field(
            "token_endpoint_auth_method",
            "must be client_secret_basic, client_secret_post or none",
        ));
    }
    // SECURITY: it becomes a segment of the address that the client secret goes to.
    let tenant = settings.tenant_id.as_deref().unwrap_or_default();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if !tenant.bytes().all(legal) || tenant.starts_with('.') {
        return Err(Error::field(
            "tenant_id",
            "must be the id of a tenant or one of its domains",
        ));
    }
    for (field, uri) in [
        ("authorize_uri", &settings.authorize_uri),
        ("token_uri", &settings.token_uri),
        ("user_info_uri", &settings.user_info_uri),
    ] {
        if let Some(uri) = uri.as_deref().filter(|text| !text.is_empty())
            && !is_endpoint(uri)
        {
            return Err(Error::field(
                field,
                "must be an http(s) URL without user, password and fragment",
            ));
        }
    }
    if let Some(base) = settings.smart.as_ref().and_then(SmartSettings::base_url) {
        // SECURITY: the credential goes there, so nothing of it may be filled in by a user.
        let legal = !base.contains("{{") && check_proxy_url(&base, true).is_ok();
        if !legal {
            return Err(Error::field(
                "extensions.smart.domain",
                "must be a host or an https URL without query",
            ));
        }
    }
    if let Some(outside) = settings
        .required_scopes
        .iter()
        .find(|scope| !settings.scopes.contains(scope))
    {
        return Err(Error::field(
            "required_scopes",
            &format!("`{outside}` is not one of scopes"),
        ));
    }
    let optional = settings
        .optional_scopes
        .as_ref()
        .map(|optional| optional.scopes.as_slice());
    if let Some(outside) = settings
        .required_optional_scopes
        .iter()
        .find(|scope| !optional.unwrap_or_default().contains(scope))
    {
        return Err(Error::field(
            "required_optional_scopes",
            &format!("`{outside}` is not one of optional_scopes"),
        ));
    }
    if let Some(dwd) = &settings.google_dwd
        && let Some(outside) = dwd
            .required_scopes
            .iter()
            .find(|scope| !dwd.scopes.contains(scope))
    {
        return Err(Error::field(
            "required_scopes",
            &format!("`{outside}` is not one of scopes"),
        ));
    }
    Ok(())
}
