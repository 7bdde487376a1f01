//! The files pages load, compiled in. Their addresses hold a hash of the content, so browsers may
//! keep them forever and always get the version the page was written for.

use aws_lc_rs::digest;
use axum::{Router, routing::get};
use http::header;
use std::sync::LazyLock;

struct Asset {
    path: String,
    content_type: &'static str,
    body: &'static str,
}

impl Asset {
    fn new(name: &str, extension: &str, content_type: &'static str, body: &'static str) -> Self {
        let hash = hex::encode(digest::digest(&digest::SHA256, body.as_bytes()));
        let short = hash.get(..16).unwrap_or(&hash);
        Self {
            path: format!("/assets/{name}-{short}.{extension}"),
            content_type,
            body,
        }
    }

    fn route(&'static self, router: Router) -> Router {
        let headers = [
            (header::CONTENT_TYPE, self.content_type),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ];
        router.route(&self.path, get(move || async move { (headers, self.body) }))
    }
}

static STYLESHEET: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "keystead",
        "css",
        "text/css; charset=utf-8",
        include_str!("../assets/keystead.css"),
    )
});
static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "icon",
        "svg",
        "image/svg+xml",
        include_str!("../assets/icon.svg"),
    )
});

/// Address of the stylesheet.
pub(crate) fn stylesheet() -> &'static str {
    &STYLESHEET.path
}

/// Address of the icon.
pub(crate) fn icon() -> &'static str {
    &ICON.path
}

/// Serves the files.
pub(crate) fn router() -> Router {
    ICON.route(STYLESHEET.route(Router::new()))
}
