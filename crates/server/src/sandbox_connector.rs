//! The connector of `dev` to the sandbox's fake provider, so that every flow can be tried offline.

use anyhow::{Context, Result};
use keystead_agentkit::providers::{AuthPattern, Provider};
use serde_json::json;
use std::collections::BTreeMap;

/// The connector, for the sandbox at `url`.
pub(crate) fn provider(url: &str) -> Result<Provider> {
    let base = format!("{url}/sandbox/provider");
    let patterns: Vec<AuthPattern> = serde_json::from_value(json!([
        {
            "type": "OAUTH",
            "display_name": "OAuth 2.0",
            "description": "The user consents at the fake provider.",
            "oauth_config": {
                "authorize_uri": format!("{base}/authorize"),
                "token_uri": format!("{base}/token"),
                "user_info_uri": format!("{base}/userinfo"),
                "revocation_uri": format!("{base}/revoke"),
                "available_scopes": [
                    {"scope": "read", "display_name": "Read", "description": "Read items", "required": true},
                    {"scope": "write", "display_name": "Write", "description": "Change items"},
                ],
            },
        },
        {
            "type": "TRELLO_OAUTH1",
            "display_name": "OAuth 1.0a",
            "description": "The user consents at the fake provider; calls are signed.",
            "oauth_config": {
                "authorize_uri": format!("{base}/oauth1/authorize"),
                "token_uri": format!("{base}/oauth1/access_token"),
                "scope_separator": ",",
                "available_scopes": [
                    {"scope": "read", "display_name": "Read", "description": "Read items", "required": true},
                    {"scope": "write", "display_name": "Write", "description": "Change items"},
                ],
                "oauth1": {"request_token_uri": format!("{base}/oauth1/request_token")},
            },
        },
        {
            "type": "BEARER",
            "display_name": "Token",
            "fields": [{"field_name": "token", "label": "Token", "input_type": "password", "required": true}],
        },
        {
            "type": "API_KEY",
            "display_name": "API key",
            "auth_header_key_override": "X-Api-Key",
            "fields": [{"field_name": "api_key", "label": "API key", "input_type": "password", "required": true}],
        },
        {
            "type": "BASIC",
            "display_name": "User name and password",
            "fields": [
                {"field_name": "username", "label": "User name", "required": true},
                {"field_name": "password", "label": "Password", "input_type": "password", "required": true},
            ],
        },
    ]))
    .context("the sandbox connector")?;
    Ok(Provider {
        identifier: "SANDBOX".to_owned(),
        slug: "sandbox".to_owned(),
        display_name: "Sandbox".to_owned(),
        description: "The fake provider on this machine, to try connections offline.".to_owned(),
        categories: vec!["Developer Tools".to_owned()],
        auth_patterns: patterns,
        icon_src: String::new(),
        display_priority: 0,
        proxy_url: format!("{base}/api"),
        proxy_enabled: true,
        is_custom: false,
        metadata: BTreeMap::new(),
    })
}
