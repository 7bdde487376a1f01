//! `keystead config check`.

use crate::{cli::ConfigArgs, config, database, tell};
use std::process::ExitCode;

/// Reads the configuration and prints it without secrets, or every mistake in it.
pub(crate) fn run(args: &ConfigArgs) -> ExitCode {
    match config::load(args.config.as_deref()) {
        Ok(config) => {
            tell::line(format!("{config:#?}"));
            match database::transport(&config.database.url) {
                Ok(Some(found)) => {
                    let text = database::transport_text(found);
                    tell::line(format!("connection to PostgreSQL: {text}"));
                }
                Ok(None) => {}
                Err(error) => {
                    tell::error(&error);
                    return ExitCode::FAILURE;
                }
            }
            tell::line("the configuration is complete");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tell::error(&error);
            ExitCode::FAILURE
        }
    }
}
