//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
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
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Restore a backup into an empty database.
    ///
    /// Example: keystead restore --config /etc/keystead/keystead.toml --from backup.ksb
    Restore {
        #[command(flatten)]
        config: ConfigArgs,
        /// Backup to read; it is verified before anything is written.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
    /// Show what a file of connectors and connections would change.
    ///
    /// Example: keystead plan connections.toml --environment auth.example.com
    Plan(DeclaredArgs),
    /// Make connectors and connections as a file declares them.
    ///
    /// What the file does not mention stays as it is. Doing it again changes nothing.
    /// Example: keystead apply connections.toml --environment auth.example.com
    Apply(DeclaredArgs),
    /// The keys that sign access tokens.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// API clients and their secrets.
    #[command(subcommand)]
    Client(ClientCommand),
    /// Members of the workspace, who use the dashboard.
    #[command(subcommand)]
    User(UserCommand),
    /// The audit trail.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Args)]
pub(crate) struct DeclaredArgs {
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    /// File (TOML) with `[[connectors]]` and `[[connections]]`.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Also delete connections and connectors of the environment that the file does not declare. A
    /// connection with accounts is refused.
    #[arg(long)]
    pub(crate) delete: bool,
}

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// List the signing keys of an environment, or of all.
    ///
    /// Example: keystead keys list --config /etc/keystead/keystead.toml
    List(ScopeArgs),
    /// Let the next signing key sign.
    ///
    /// The server does it on its own every `signing_keys.rotation_days`. Refused within seven days of the
    /// last rotation: clients that read the key set once would not know the key.
    /// Example: keystead keys rotate --environment auth.example.com
    Rotate {
        #[command(flatten)]
        scope: ScopeArgs,
        /// A key has leaked: remove it at once, and with it every token it signed.
        #[arg(long)]
        emergency: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum ClientCommand {
    /// List the API clients of an environment, with the ends of their secrets.
    ///
    /// Example: keystead client list --config /etc/keystead/keystead.toml
    List(ScopeArgs),
    /// Make a client and print its secret, once.
    ///
    /// Example: keystead client create --name "Billing service"
    Create {
        #[command(flatten)]
        scope: ScopeArgs,
        /// Name shown to people.
        #[arg(long, value_name = "TEXT")]
        name: String,
        /// What it is; public clients (`spa`, `native`) have no secret.
        #[arg(
            long = "type",
            value_name = "TYPE",
            value_enum,
            default_value = "web-app"
        )]
        kind: ClientKind,
    },
    /// Make another secret of a client and print it, once.
    ///
    /// The former secret stays valid, so that nothing stops; a client has at most two.
    /// Example: keystead client rotate skc_123456789012345678
    Rotate {
        #[command(flatten)]
        scope: ScopeArgs,
        /// Client; the environment's own API client when absent.
        #[arg(value_name = "CLIENT")]
        client: Option<String>,
        /// Delete all older secrets.
        #[arg(long)]
        drop_older: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ClientKind {
    WebApp,
    Spa,
    Native,
}

#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// List the members of the workspace that an environment belongs to.
    ///
    /// Example: keystead user list --config /etc/keystead/keystead.toml
    List(ScopeArgs),
    /// Add a member, who signs in with a code sent by e-mail.
    ///
    /// Example: keystead user add bob@example.com --role developer
    Add(NewUserArgs),
    /// Delete a member, who is signed out everywhere.
    ///
    /// A running server notices within 15 seconds. The last administrator cannot be deleted.
    /// Example: keystead user delete bob@example.com --config /etc/keystead/keystead.toml
    Delete {
        #[command(flatten)]
        scope: ScopeArgs,
        /// Address of the member.
        #[arg(value_name = "EMAIL")]
        email: String,
    },
    /// Let a member sign in again whose codes were used up by wrong tries.
    ///
    /// Forgets the counts of codes asked for and tried for the address. A browser that the member has
    /// signed in with before is never locked by strangers.
    /// Example: keystead user unlock ada@example.com --config /etc/keystead/keystead.toml
    Unlock {
        #[command(flatten)]
        config: ConfigArgs,
        /// Address of the member.
        #[arg(value_name = "EMAIL")]
        email: String,
    },
}

#[derive(Args)]
pub(crate) struct NewUserArgs {
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    /// Address; sign-in codes are sent there.
    #[arg(value_name = "EMAIL")]
    pub(crate) email: String,
    /// What the member may do: everything, everything in environments, or read.
    #[arg(long, value_name = "ROLE", value_enum, default_value = "member")]
    pub(crate) role: MemberRole,
    /// Given name.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) first_name: String,
    /// Family name.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) last_name: String,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum MemberRole {
    Admin,
    Developer,
    Member,
}

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Check the hash chains of the audit trail and name the first record that is wrong.
    ///
    /// Fails when an environment's trail was changed. The anchors it prints prove later, kept elsewhere,
    /// that nobody replaced a whole chain. Example: keystead audit verify --config /etc/keystead/keystead.toml
    Verify(ScopeArgs),
}

/// Which part of an installation a tool works on.
#[derive(Args)]
pub(crate) struct ScopeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Environment, by id or domain. When absent, `keys list` and `audit verify` take all, the others
    /// the default one.
    #[arg(long, value_name = "ENVIRONMENT")]
    pub(crate) environment: Option<String>,
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
    #[arg(
        long,
        value_name = "DIR",
        default_value = "keystead-data",
        env = "KEYSTEAD_DATA"
    )]
    pub(crate) data: PathBuf,
    /// HTTPS port on localhost; 0 picks a free one.
    #[arg(long, value_name = "N", default_value_t = 8443)]
    pub(crate) port: u16,
    /// Port of the admin listener (health, metrics) on localhost; 0 picks a free one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) admin_port: u16,
    /// Delete the data first: only what `dev` itself made.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// PostgreSQL URL; the SQLite file when absent. Prefer the variable: a command line shows in the
    /// process list.
    #[arg(
        long,
        value_name = "URL",
        env = "KEYSTEAD_DATABASE_URL",
        hide_env_values = true
    )]
    pub(crate) database: Option<String>,
}

#[derive(Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file (TOML). Settings can also be given as `KEYSTEAD_SECTION__NAME`.
    #[arg(long, value_name = "FILE", env = "KEYSTEAD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}
