//! Time from exec to the first good answer, and memory when idle.

use crate::{Shape, connection::Connector, process, request::Plan, runtime, statistics::Times};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use std::{
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    shape: Shape,
    /// Starts that are measured.
    #[arg(long, default_value_t = 10)]
    count: usize,
    /// Shell command before each start, for example one that removes the data.
    #[arg(long)]
    before: Option<String>,
    /// Idle seconds before memory is read.
    #[arg(long, default_value_t = 1.0)]
    idle: f64,
    /// The server's command.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    runtime(1)?.block_on(start(arguments))
}

async fn start(arguments: &Arguments) -> Result<()> {
    let plan = Plan::new(&arguments.shape)?;
    let connector = Connector::new(&plan.origin, arguments.shape.ca.as_deref())?;
    let (mut times, mut memory) = (Times::default(), Vec::new());
    for _ in 0..arguments.count {
        if let Some(before) = &arguments.before {
            let status = Command::new("sh").args(["-c", before]).status().await?;
            anyhow::ensure!(status.success(), "--before failed");
        }
        let (program, rest) = arguments.command.split_first().context("no command")?;
        let begin = Instant::now();
        let mut server = Command::new(program)
            .args(rest)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        while !answers(&plan, &connector).await {
            if let Some(status) = server.try_wait()? {
                bail!("the server ended: {status}");
            }
            if begin.elapsed() > PATIENCE {
                bail!("the server does not answer");
            }
            tokio::time::sleep(POLL).await;
        }
        times.add(begin.elapsed());
        tokio::time::sleep(Duration::from_secs_f64(arguments.idle)).await;
        memory.push(process::memory_mb(
            server.id().context("the server is gone")?,
            "VmRSS",
        )?);
        stop(&mut server).await?;
    }
    times.sort();
    memory.sort_by(f64::total_cmp);
    println!(
        "{}",
        json!({
            "starts": times.count(),
            "first_answer_min_ms": times.percentile_ms(0.0),
            "first_answer_ms": times.percentile_ms(0.5),
            "first_answer_max_ms": times.percentile_ms(1.0),
            "idle_mb": memory.get(memory.len() / 2),
        })
    );
    Ok(())
}

async fn answers(plan: &Plan, connector: &Connector) -> bool {
    let attempt = async {
        let (status, body) = connector
            .open()
            .await
            .ok()?
            .send(plan.request().ok()?)
            .await
            .ok()?;
        plan.fault(status, &body).is_none().then_some(())
    };
    matches!(
        tokio::time::timeout(Duration::from_secs(2), attempt).await,
        Ok(Some(()))
    )
}

async fn stop(server: &mut Child) -> Result<()> {
    let pid = server.id().context("the server is gone")?;
    Command::new("kill").arg(pid.to_string()).status().await?;
    if tokio::time::timeout(Duration::from_secs(20), server.wait())
        .await
        .is_err()
    {
        server.kill().await?;
    }
    Ok(())
}
