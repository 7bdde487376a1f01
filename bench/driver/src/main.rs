//! Load driver of the benchmarks.
//!
//! | Command | Does |
//! |---|---|
//! | `load` | keeps N connections busy for some seconds and checks every answer |
//! | `burst` | sends N requests at the same moment, each on a connection of its own |
//! | `walk` | follows `next_page_token` through a whole list |
//! | `start` | measures the time from exec to the first good answer, and idle memory |
//! | `upstream` | plays an OAuth provider that counts refreshes |
//!
//! Each prints one JSON object on standard output. HTTP/1.1 with keep-alive, plain or TLS.

mod burst;
mod connection;
mod load;
mod process;
mod request;
mod start;
mod statistics;
mod token;
mod upstream;
mod walk;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(name = "driver", version, about = "Load driver of the benchmarks")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Keep connections busy and check every answer.
    Load(load::Arguments),
    /// Send many requests at the same moment.
    Burst(burst::Arguments),
    /// Follow the pages of a list.
    Walk(walk::Arguments),
    /// Measure the time to the first good answer.
    Start(start::Arguments),
    /// Play an OAuth provider that counts refreshes.
    Upstream(upstream::Arguments),
}

/// What is sent and what must come back.
#[derive(Args, Clone)]
struct Shape {
    /// Target, for example http://127.0.0.1:8080/keys. `{n}` is a number that never repeats,
    /// `{n%1000}` one below 1000; both work in the path, headers and body.
    #[arg(long)]
    url: String,
    #[arg(long, default_value = "GET")]
    method: String,
    /// `Name: value`; may be given several times.
    #[arg(long)]
    header: Vec<String>,
    #[arg(long, default_value = "")]
    body: String,
    /// Status every answer must have.
    #[arg(long, default_value_t = 200)]
    status: u16,
    /// Text every answer must contain.
    #[arg(long)]
    contains: Option<String>,
    /// Trusted certificates (PEM); without it no certificate of a TLS server is trusted.
    #[arg(long)]
    ca: Option<PathBuf>,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Load(arguments) => load::run(&arguments),
        Command::Burst(arguments) => burst::run(&arguments),
        Command::Walk(arguments) => walk::run(&arguments),
        Command::Start(arguments) => start::run(&arguments),
        Command::Upstream(arguments) => upstream::run(&arguments),
    }
}

/// A runtime with `threads` workers; one thread does without handing work over.
fn runtime(threads: usize) -> Result<tokio::runtime::Runtime> {
    let mut builder = match threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        more => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(more);
            builder
        }
    };
    Ok(builder.enable_all().build()?)
}
