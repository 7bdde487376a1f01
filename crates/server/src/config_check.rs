//! `keystead config check`.

use crate::{
    cli::ConfigArgs,
    config::{self, Config},
    database, packs, private_file, tell,
};
use anyhow::{Context, Result};
use keystead_agentkit::catalogue::Catalogue;
use serde_json::Value;
use std::process::ExitCode;

/// Reads the configuration and prints it without secrets, or every mistake in it.
pub(crate) fn run(args: &ConfigArgs) -> ExitCode {
    match check(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn check(args: &ConfigArgs) -> Result<()> {
    let config = config::load(args.config.as_deref())?;
    let transport = database::transport(&config.database.url)?;
    tell::line(as_toml(&config)?);
    if let Some(found) = transport {
        let text = database::transport_text(found);
        tell::line(format!("connection to PostgreSQL: {text}"));
    }
    if let Some(folder) = &config.agentkit.connector_packs {
        let loaded = packs::load(&mut Catalogue::embedded(), folder);
        tell::line(format!("connector packs: {}", loaded.taken.join(", ")));
        for pack in loaded.left_out {
            tell::line(format!("warning: connector pack left out: {pack}"));
        }
    }
    for remark in config::warnings(&config) {
        tell::line(format!("warning: {} {}", remark.setting, remark.text));
    }
    // Files may be checked before they are where the server reads them, so this is no failure here.
    let open = args.config.as_deref();
    let open = [
        open.and_then(private_file::of_configuration),
        private_file::of_root_key(&config),
    ];
    let open: Vec<String> = open.into_iter().flatten().collect();
    for text in &open {
        tell::line(format!("warning: serve will not start: {text}"));
    }
    tell::line(if open.is_empty() {
        "the configuration is complete"
    } else {
        "the settings are complete, but serve will not start with these files as they are here"
    });
    Ok(())
}

/// What holds, as it would be written in the file. Text, numbers and lists look alike in JSON and in
/// TOML.
fn as_toml(config: &Config) -> Result<String> {
    let config = serde_json::to_value(config).context("show the configuration")?;
    let mut text = String::new();
    for (section, settings) in config.as_object().into_iter().flatten() {
        let set = settings.as_object().into_iter().flatten();
        let set: Vec<_> = set.filter(|(_, value)| **value != Value::Null).collect();
        if set.is_empty() {
            continue;
        }
        text.extend(["[", section, "]\n"]);
        for (name, value) in set {
            text.extend([name, " = ", &in_toml(value), "\n"]);
        }
        text.push('\n');
    }
    Ok(text)
}

/// A value in one line of TOML.
fn in_toml(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(in_toml).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(table) => {
            let set = table.iter().filter(|(_, value)| !value.is_null());
            let set: Vec<_> = set
                .map(|(name, value)| format!("{name} = {}", in_toml(value)))
                .collect();
            format!("{{ {} }}", set.join(", "))
        }
        other => other.to_string(),
    }
}
