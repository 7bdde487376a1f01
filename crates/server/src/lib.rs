//! The `keystead` program: command line, configuration, wiring, start and shutdown. A library only so
//! that the reference pages can be made from its definitions.

mod adapters;
mod admin;
mod background;
mod backup;
mod certificate;
mod cli;
mod clock;
mod config;
mod config_check;
mod data_folder;
mod database;
mod declared;
mod dev;
mod doctor;
mod env_file;
mod file_kind;
mod installation;
mod logging;
mod mail;
mod migrate;
mod operator;
mod packs;
mod private_file;
pub mod reference;
mod root_key;
mod routes;
mod run;
mod sandbox_connector;
mod secret_source;
mod serve;
mod settings;
mod tell;
mod wiring;

use anyhow::{Context, Result};
use clap::Parser;
use cli::{AuditCommand, Cli, Command, ConfigCommand};
use std::process::ExitCode;

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    match start(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            tell::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> Result<ExitCode> {
    // One worker for each core; nothing blocks them for long.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let done = runtime.block_on(execute(command));
    // A task that does not end (a name lookup, say) must not hold up the exit.
    runtime.shutdown_background();
    done
}

async fn execute(command: Command) -> Result<ExitCode> {
    match command {
        Command::Dev(args) => dev::run(args).await?,
        Command::Serve(args) => serve::run(&args).await?,
        Command::Migrate(args) => migrate::run(&args).await?,
        Command::Doctor(args) => return doctor::run(&args).await,
        Command::Backup { config, to } => backup::create(&config, &to).await?,
        Command::Restore { config, from } => backup::restore(&config, &from).await?,
        Command::Plan(args) => operator::declared::plan(&args).await?,
        Command::Apply(args) => operator::declared::apply(&args).await?,
        Command::Keys(command) => operator::keys::run(&command).await?,
        Command::Client(command) => operator::client::run(&command).await?,
        Command::User(command) => operator::user::run(&command).await?,
        Command::Audit(AuditCommand::Verify(args)) => return operator::audit::verify(&args).await,
        Command::Config(ConfigCommand::Check(args)) => return Ok(config_check::run(&args)),
    }
    Ok(ExitCode::SUCCESS)
}
