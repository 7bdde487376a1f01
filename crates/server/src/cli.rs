//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Identity for people and the agents that act for them.
#[derive(Parser)]
#[command(name = "keystead", version, about, propagate_version = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run everything on this machine for development.
    ///
    /// Makes the data folder with database, root key, local certificate authority, workspace,
    /// environments, API client and dashboard user; serves HTTPS; turns on the sandbox.
    /// Starting again keeps everything. Example: keystead dev --port 8443
    Dev(DevArgs),
    /// Run in production from a configuration file.
    ///
    /// Example: keystead serve --config /etc/keystead/keystead.toml
    Serve(ConfigArgs),
    /// Bring the database schema up to date and exit.
    ///
    /// Example: keystead migrate --config /etc/keystead/keystead.toml
    Migrate(ConfigArgs),
    /// Check configuration, root key, database, clock and certificate, and say what to do.
    ///
    /// Example: keystead doctor --config /etc/keystead/keystead.toml
    Doctor(ConfigArgs),
    /// Write a consistent, checksummed backup while the server runs.
    ///
    /// Example: keystead backup --config /etc/keystead/keystead.toml --to backup.ksb
    Backup {
        #[command(flatten)]
        config: ConfigArgs,
        /// File to write; must not exist.
        #[arg(long)]
        to: PathBuf,
    },
    /// Restore a backup into an empty database.
    ///
    /// Example: keystead restore --config /etc/keystead/keystead.toml --from backup.ksb
    Restore {
        #[command(flatten)]
        config: ConfigArgs,
        /// Backup to read; it is verified before anything is written.
        #[arg(long)]
        from: PathBuf,
    },
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read the configuration, report every problem and print the result without secrets.
    ///
    /// Example: keystead config check --config /etc/keystead/keystead.toml
    Check(ConfigArgs),
}

#[derive(Args)]
pub(crate) struct DevArgs {
    /// Data folder.
    #[arg(long, default_value = "keystead-data", env = "KEYSTEAD_DATA")]
    pub(crate) data: PathBuf,
    /// Port on localhost; 0 picks a free one.
    #[arg(long, default_value_t = 8443)]
    pub(crate) port: u16,
    /// Port of the admin listener (health, metrics) on localhost; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    pub(crate) admin_port: u16,
    /// Delete the data folder first.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// PostgreSQL URL; the embedded SQLite file when absent.
    #[arg(long, env = "KEYSTEAD_DATABASE_URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
}

#[derive(Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file (TOML). Settings can also be given as `KEYSTEAD_SECTION__NAME`.
    #[arg(long, env = "KEYSTEAD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}
