//! Reference pages that are made from definitions.

use crate::errors;
use anyhow::{Context, Result, bail};
use keystead_server::reference;
use std::{fs, path::Path};

/// What lies between these lines is generated; the rest of a page is written by hand.
const BEGIN: &str = "<!-- generated: cargo run -p xtask -- docs -->\n";
const END: &str = "<!-- end of the generated part -->\n";

const CLI: &str = "docs/reference/cli.md";
const CONFIGURATION: &str = "docs/reference/configuration.md";

/// Writes all pages.
pub(crate) fn write(root: &Path) -> Result<()> {
    for (file, text) in render(root)? {
        fs::write(root.join(file), text).context(file)?;
        println!("wrote {file}");
    }
    Ok(())
}

/// Fails when a page is not what would be written.
pub(crate) fn check(root: &Path) -> Result<()> {
    let old = outdated(root)?;
    if old.is_empty() {
        println!("docs: the references are current");
        return Ok(());
    }
    bail!(
        "{} not what the definitions say; run: cargo run -p xtask -- docs",
        old.join(", ")
    );
}

fn outdated(root: &Path) -> Result<Vec<&'static str>> {
    let mut old = Vec::new();
    for (file, text) in render(root)? {
        if fs::read_to_string(root.join(file)).context(file)? != text {
            old.push(file);
        }
    }
    Ok(old)
}

fn render(root: &Path) -> Result<Vec<(&'static str, String)>> {
    let mut pages = vec![(errors::FILE, errors::render()?)];
    for (file, generated) in [
        (CLI, reference::cli()),
        (CONFIGURATION, reference::configuration()),
    ] {
        let page = fs::read_to_string(root.join(file)).context(file)?;
        pages.push((file, replaced(&page, &generated).context(file)?));
    }
    Ok(pages)
}

/// The page with another generated part.
fn replaced(page: &str, generated: &str) -> Result<String> {
    let (before, rest) = page
        .split_once(BEGIN)
        .context("the first mark is missing")?;
    let (_, after) = rest.split_once(END).context("the second mark is missing")?;
    let generated = generated.trim_end();
    Ok(format!("{before}{BEGIN}\n{generated}\n\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_references_are_current() {
        let old = outdated(&crate::root()).unwrap();
        assert!(old.is_empty(), "{old:?}: run cargo run -p xtask -- docs");
    }

    #[test]
    fn only_the_generated_part_is_replaced() {
        let page = format!("by hand\n{BEGIN}old\n{END}more\n");
        let expected = format!("by hand\n{BEGIN}\nnew\n\n{END}more\n");
        assert_eq!(replaced(&page, "new\n").unwrap(), expected);
        assert!(replaced("by hand", "new").is_err());
    }
}
