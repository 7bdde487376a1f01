//! What a connector pack must keep before anything is sent to its provider (AK-003).

use crate::providers::{AuthPattern, Provider};
use url::Url;

/// Why a pack is no connector.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It is not written as a pack.
    #[error("{0}")]
    Form(#[from] serde_json::Error),
    /// A value is not usable.
    #[error("{0}")]
    Value(&'static str),
    /// Another connector has the slug.
    #[error("another connector has the slug `{0}`")]
    Slug(String),
}

/// # Errors
/// [`PackError::Value`] for the first rule that is broken.
pub(super) fn check(provider: &Provider) -> Result<(), PackError> {
    let require = |holds: bool, why: &'static str| {
        if holds {
            Ok(())
        } else {
            Err(PackError::Value(why))
        }
    };
    let key = provider.identifier.as_bytes();
    let upper = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    require(
        !key.is_empty() && key.iter().all(upper),
        "key: capital letters, digits and `_` only",
    )?;
    let slug = provider.slug.as_bytes();
    let lower =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(byte);
    require(
        !slug.is_empty() && slug.iter().all(lower),
        "slug: small letters, digits, `_` and `-` only",
    )?;
    require(!provider.display_name.is_empty(), "name: must not be empty")?;
    require(
        !provider.auth_patterns.is_empty(),
        "auth: at least one way to authenticate",
    )?;
    require(
        is_https(&provider.proxy_url),
        "base_url: must be an https URL",
    )?;
    for pattern in &provider.auth_patterns {
        // SECURITY: a host that is filled in needs the list, or a credential could go anywhere.
        let listed = !pattern.allowed_proxy_domains.is_empty();
        require(
            listed || !is_filled_in(&provider.proxy_url),
            "base_url: a host that is filled in needs allowed_domains",
        )?;
        for endpoint in endpoints(pattern) {
            require(is_https(endpoint), "oauth: endpoints must be https URLs")?;
            require(
                listed || !endpoint.contains("{{"),
                "oauth: an endpoint that is filled in needs allowed_domains",
            )?;
        }
    }
    Ok(())
}

fn endpoints(pattern: &AuthPattern) -> impl Iterator<Item = &String> {
    let oauth = pattern.oauth_config.iter();
    oauth.flat_map(|oauth| {
        [
            &oauth.authorize_uri,
            &oauth.token_uri,
            &oauth.refresh_uri,
            &oauth.user_info_uri,
            &oauth.revocation_uri,
        ]
        .into_iter()
        .flatten()
    })
}

/// Whether the host is (partly) a template.
fn is_filled_in(url: &str) -> bool {
    url.split('/')
        .nth(2)
        .is_some_and(|host| host.contains("{{"))
}

fn is_https(url: &str) -> bool {
    let filled = url.replace("{{", "x").replace("}}", "x");
    url.starts_with("https://")
        && Url::parse(&filled)
            .is_ok_and(|url| url.username().is_empty() && url.password().is_none())
}
