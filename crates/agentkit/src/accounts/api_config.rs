//! The settings of an account, `api_config` (AK-211).

use crate::{Error, error::Result};
use serde_json::{Map, Value};

/// Largest `api_config`, as JSON (4.2).
const MAX_API_CONFIG: usize = 64 * 1024;

/// Merges key by key; null deletes (AK-211).
pub(crate) fn merged_config(
    stored: &Map<String, Value>,
    patch: Map<String, Value>,
) -> Map<String, Value> {
    let mut merged = stored.clone();
    for (name, value) in patch {
        if value.is_null() {
            merged.remove(&name);
        } else {
            merged.insert(name, value);
        }
    }
    merged
}

pub(crate) fn check_api_config(api_config: &Map<String, Value>) -> Result<()> {
    let size = serde_json::to_vec(api_config).map_or(usize::MAX, |bytes| bytes.len());
    if size > MAX_API_CONFIG {
        return Err(Error::field("api_config", "must be at most 64 kB"));
    }
    Ok(())
}
