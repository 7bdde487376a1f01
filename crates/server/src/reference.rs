//! The reference pages of the command line and the configuration, from their definitions.

use crate::{
    cli::Cli,
    settings::{Fallback, SECTIONS},
};
use clap::{Arg, Command, CommandFactory};

/// The tables of `docs/reference/configuration.md`, as Markdown.
#[must_use]
pub fn configuration() -> String {
    let mut lines = Vec::new();
    for section in SECTIONS {
        lines.push(format!("## {}\n", section.name));
        if !section.about.is_empty() {
            lines.push(format!("{}\n", section.about));
        }
        lines.push("| Setting | Default | Meaning |\n|---|---|---|".to_owned());
        for setting in section.settings {
            let default = match setting.default {
                Fallback::Required => "required".to_owned(),
                Fallback::Absent => "none".to_owned(),
                Fallback::Value(text) => format!("`{text}`"),
            };
            let (name, meaning) = (setting.name, setting.meaning);
            lines.push(format!("| `{name}` | {default} | {meaning} |"));
        }
        lines.push(String::new());
    }
    lines.join("\n")
}

/// The commands of `docs/reference/cli.md`, as Markdown.
#[must_use]
pub fn cli() -> String {
    let mut root = Cli::command();
    root.build();
    let mut leaves = Vec::new();
    collect(&root, "keystead", &mut leaves);
    let mut lines = vec!["| Command | Does |\n|---|---|".to_owned()];
    for (name, command) in &leaves {
        let about = command.get_about().map(ToString::to_string);
        let (anchor, about) = (name.replace(' ', "-"), about.unwrap_or_default());
        lines.push(format!("| [`{name}`](#{anchor}) | {about} |"));
    }
    for (name, command) in &leaves {
        lines.push(format!("\n## {name}\n"));
        let long = command.get_long_about().or_else(|| command.get_about());
        lines.push(long.map(ToString::to_string).unwrap_or_default());
        let arguments: Vec<&Arg> = command.get_arguments().filter(|one| is_ours(one)).collect();
        if !arguments.is_empty() {
            lines.push(
                "\n| Option | Environment | Default | Meaning |\n|---|---|---|---|".to_owned(),
            );
        }
        lines.extend(arguments.into_iter().map(row));
    }
    lines.join("\n")
}

/// Commands that do something themselves, with their full names.
fn collect<'a>(command: &'a Command, name: &str, leaves: &mut Vec<(String, &'a Command)>) {
    let mut is_leaf = true;
    for child in command.get_subcommands() {
        if child.get_name() != "help" {
            is_leaf = false;
            collect(child, &format!("{name} {}", child.get_name()), leaves);
        }
    }
    if is_leaf {
        leaves.push((name.to_owned(), command));
    }
}

/// `--help` and `--version` are everywhere.
fn is_ours(argument: &Arg) -> bool {
    !matches!(argument.get_id().as_str(), "help" | "version")
}

fn row(argument: &Arg) -> String {
    let value = argument
        .get_value_names()
        .filter(|_| argument.get_action().takes_values())
        .and_then(|names| names.first())
        .map(|name| format!(" {name}"))
        .unwrap_or_default();
    let name = match argument.get_long() {
        Some(long) => format!("--{long}{value}"),
        None => value.trim().to_owned(),
    };
    let variable = argument
        .get_env()
        .map(|name| format!("`{}`", name.display()))
        .unwrap_or_default();
    let default: Vec<String> = argument
        .get_default_values()
        .iter()
        .filter(|value| argument.get_action().takes_values() && !value.is_empty())
        .map(|value| format!("`{}`", value.display()))
        .collect();
    let default = match (default.as_slice(), argument.is_required_set()) {
        ([], true) => "required".to_owned(),
        (some, _) => some.join(", "),
    };
    let choices: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|_| argument.get_action().takes_values())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    let choices = match choices.as_slice() {
        [] => String::new(),
        some => format!(": {}", some.join(", ")),
    };
    let help = argument.get_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    format!("| `{name}` | {variable} | {default} | {help}{choices} |")
}
