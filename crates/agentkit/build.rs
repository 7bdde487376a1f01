//! Turns `connectors/*/connector.yaml` into one embedded JSON list, so that start-up parses no YAML.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../connectors");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut packs: Vec<(String, serde_json::Value)> = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let pack = entry?.path().join("connector.yaml");
        if !pack.is_file() {
            continue;
        }
        println!("cargo:rerun-if-changed={}", pack.display());
        let value: serde_json::Value = serde_yaml_ng::from_str(&fs::read_to_string(&pack)?)
            .map_err(|error| format!("{}: {error}", pack.display()))?;
        packs.push((pack.display().to_string(), value));
    }
    packs.sort_by(|a, b| a.0.cmp(&b.0));
    let list: Vec<serde_json::Value> = packs.into_iter().map(|(_, value)| value).collect();
    let out = PathBuf::from(env::var("OUT_DIR")?).join("connectors.json");
    fs::write(out, serde_json::to_vec(&list)?)?;
    Ok(())
}
