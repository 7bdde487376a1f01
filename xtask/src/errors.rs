//! The error reference.

use anyhow::Result;
use keystead_types::ErrorCode;
use std::{fmt::Write as _, fs, path::Path};

pub(crate) const FILE: &str = "docs/reference/errors.md";

pub(crate) fn run(root: &Path) -> Result<()> {
    fs::write(root.join(FILE), render()?)?;
    println!("wrote {FILE}");
    Ok(())
}

/// The page.
pub(crate) fn render() -> Result<String> {
    let mut page = String::from(
        "# Error codes\n\n\
         Every failed call carries one of these codes: over gRPC in the `error_code` of the packed\n\
         `scalekit.v1.errdetails.ErrorInfo`, over REST in `details[0].error_code`. The message says more than\n\
         the default text where more is known.\n\n\
         This page is generated: `cargo run -p xtask -- errors`.\n\n\
         | Code | gRPC | HTTP | Meaning | Default message |\n|---|---|---|---|---|\n",
    );
    for code in ErrorCode::ALL {
        let grpc = code.grpc();
        let http = match (code.http_status(), code.proxy_status()) {
            (api, proxy) if api == proxy => api.to_string(),
            (api, proxy) => format!("{api}, from the proxy {proxy}"),
        };
        let (name, meaning, message) = (code.as_str(), code.description(), code.default_message());
        writeln!(
            page,
            "| `{name}` | {grpc:?} | {http} | {meaning} | {message} |"
        )?;
    }
    Ok(page)
}
