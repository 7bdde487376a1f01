//! Development tasks.
//!
//! | Command | Does |
//! |---|---|
//! | `contract` | counts the methods that are built, per service |
//! | `layering` | checks that crates depend downwards only |
//! | `spec` | compares the requirement ids that tests name with the list of requirements |
//! | `errors` | writes the error reference |
//! | `docs [--check]` | writes the references of errors, command line and configuration, or tells whether they are current |
//! | `openapi [FILE]` | writes the OpenAPI document to FILE or standard output |

#![expect(
    clippy::print_stdout,
    reason = "the output of these tasks is their purpose"
)]

mod contract;
mod docs;
mod errors;
mod layering;
mod sources;
mod spec;

use anyhow::{Context, Result, bail};
use keystead_gateway::{contract::Contract, openapi};
use std::{env, fs, path::PathBuf};

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    match arguments.next().as_deref() {
        Some("contract") => contract::run(&root()),
        Some("layering") => layering::run(&root()),
        Some("spec") => spec::run(&root()),
        Some("errors") => errors::run(&root()),
        Some("docs") => match arguments.next().as_deref() {
            None => docs::write(&root()),
            Some("--check") => docs::check(&root()),
            Some(other) => bail!("docs takes --check, not {other}"),
        },
        Some("openapi") => {
            let document = format!("{:#}\n", openapi::document(&Contract::load()?));
            match arguments.next() {
                Some(file) => fs::write(&file, document).with_context(|| file),
                None => {
                    print!("{document}");
                    Ok(())
                }
            }
        }
        other => {
            bail!("unknown task {other:?}: contract, layering, spec, errors, docs, openapi [FILE]")
        }
    }
}

/// The folder of the workspace.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
