//! Crates depend downwards only.

use anyhow::{Context, Result, bail};
use serde_json::Value as Json;
use std::{path::Path, process::Command};

/// Crate, and those of ours it may use. `proto` stops at the edges.
const ALLOWED: &[(&str, &[&str])] = &[
    // 1
    ("types", &[]),
    ("proto", &[]),
    ("jose", &["types"]),
    ("oauth", &["types", "jose"]),
    // 2
    ("crypto", &["types", "jose"]),
    ("net", &["types"]),
    ("store", &["types", "crypto"]),
    ("events", &["types", "crypto", "store"]),
    // 3
    (
        "identity",
        &["types", "jose", "oauth", "crypto", "net", "store", "events"],
    ),
    (
        "authz",
        &[
            "types", "jose", "oauth", "crypto", "net", "store", "events", "identity",
        ],
    ),
    (
        "agentkit",
        &[
            "types", "jose", "oauth", "crypto", "net", "store", "events", "identity", "authz",
        ],
    ),
    // 4
    (
        "gateway",
        &[
            "types", "jose", "crypto", "proto", "identity", "authz", "agentkit", "events", "net",
        ],
    ),
    (
        "api",
        &[
            "types", "jose", "oauth", "crypto", "net", "store", "events", "identity", "authz",
            "agentkit", "proto",
        ],
    ),
    (
        "web",
        &[
            "types", "jose", "oauth", "crypto", "net", "events", "identity", "authz", "agentkit",
            "proto",
        ],
    ),
    ("sandbox", &["types", "jose", "oauth", "crypto", "net"]),
];

/// May use everything: the binary, and what exists only for development.
const FREE: &[&str] = &["server", "testkit", "xtask"];

pub(crate) fn run(root: &Path) -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root)
        .output()
        .context("cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let metadata: Json = serde_json::from_slice(&output.stdout)?;
    let broken = check(&metadata);
    for line in &broken {
        println!("{line}");
    }
    if broken.is_empty() {
        println!("layering: every crate depends downwards only");
        return Ok(());
    }
    bail!("{} dependencies go against the layers", broken.len())
}

fn check(metadata: &Json) -> Vec<String> {
    let mut broken = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = short(package["name"].as_str().unwrap_or_default());
        if FREE.contains(&name) {
            continue;
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            broken.push(format!("{name} is not in the layer table"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            // Tests may use more; what ships may not.
            let ours = dependency["path"].is_string() && dependency["kind"] != "dev";
            let used = short(dependency["name"].as_str().unwrap_or_default());
            if ours && !allowed.contains(&used) {
                broken.push(format!("{name} must not depend on {used}"));
            }
        }
    }
    broken
}

/// Folder name of one of our packages.
fn short(package: &str) -> &str {
    match package {
        "keystead" => "server",
        name => name.strip_prefix("keystead-").unwrap_or(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata(name: &str, dependency: &str, kind: Option<&str>) -> Json {
        json!({"packages": [{"name": name, "dependencies": [
            {"name": dependency, "path": "/x", "kind": kind},
            {"name": "serde", "path": null, "kind": null},
        ]}]})
    }

    #[test]
    fn upward_and_unknown_dependencies_are_found() {
        assert_eq!(
            check(&metadata("keystead-store", "keystead-identity", None)),
            ["store must not depend on identity"]
        );
        assert_eq!(
            check(&metadata("keystead-agentkit", "keystead-proto", None)),
            ["agentkit must not depend on proto"]
        );
        assert_eq!(
            check(&metadata("keystead-new", "keystead-types", None)),
            ["new is not in the layer table"]
        );
    }

    #[test]
    fn downward_and_development_dependencies_are_fine() {
        assert!(check(&metadata("keystead-authz", "keystead-identity", None)).is_empty());
        assert!(check(&metadata("keystead-store", "keystead-testkit", Some("dev"))).is_empty());
        assert!(check(&metadata("keystead", "keystead-gateway", None)).is_empty());
    }

    #[test]
    fn the_table_itself_only_looks_down() {
        for (at, (name, allowed)) in ALLOWED.iter().enumerate() {
            for used in *allowed {
                let place = ALLOWED.iter().position(|(known, _)| known == used).unwrap();
                assert!(place < at, "{name} uses {used}");
            }
        }
    }
}
