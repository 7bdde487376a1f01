//! Closed-loop load: every connection sends its next request when the answer to the last is read.

use crate::{
    Shape, connection::Connector, process, request::Plan, runtime, statistics::Times, token::Keys,
};
use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    shape: Shape,
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Measured seconds.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds before the measurement.
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Stop after so many requests; for runs without a warm-up.
    #[arg(long)]
    requests: Option<usize>,
    /// JWKS address; one token answer in a hundred is verified with it.
    #[arg(long)]
    jwks: Option<String>,
    /// Server process whose CPU time and memory are measured; may be given several times.
    #[arg(long)]
    pid: Vec<u32>,
    /// Threads of the driver.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    times: Times,
    errors: u64,
    first_error: Option<String>,
    verified: u64,
    reconnects: u64,
}

struct Job {
    plan: Plan,
    connector: Connector,
    keys: Option<Keys>,
    begin: Instant,
    end: Instant,
    limit: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    runtime(arguments.threads)?.block_on(load(arguments))
}

async fn load(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.connections > 0, "--connections must not be 0");
    let plan = Plan::new(&arguments.shape)?;
    let connector = Connector::new(&plan.origin, arguments.shape.ca.as_deref())?;
    let keys = match &arguments.jwks {
        Some(url) => Some(keys(url, arguments).await.context("read the JWKS")?),
        None => None,
    };
    let begin = Instant::now() + Duration::from_secs_f64(arguments.warmup);
    let job = Arc::new(Job {
        plan,
        connector,
        keys,
        begin,
        end: begin + Duration::from_secs_f64(arguments.seconds),
        limit: arguments
            .requests
            .map_or(usize::MAX, |all| all.div_ceil(arguments.connections)),
    });
    let tasks: Vec<_> = (0..arguments.connections)
        .map(|_| tokio::spawn(one_connection(Arc::clone(&job))))
        .collect();
    tokio::time::sleep_until(begin.into()).await;
    let cpu_before = process::cpu_of_all(&arguments.pid)?;
    let mut seen = Seen::default();
    for task in tasks {
        let one = task.await?;
        seen.times.join(one.times);
        seen.errors += one.errors;
        seen.verified += one.verified;
        seen.reconnects += one.reconnects;
        seen.first_error = seen.first_error.or(one.first_error);
    }
    let elapsed = begin.elapsed();
    let cpu = process::cpu_of_all(&arguments.pid)?.saturating_sub(cpu_before);
    println!("{}", report(arguments, seen, elapsed, cpu)?);
    Ok(())
}

async fn one_connection(job: Arc<Job>) -> Seen {
    let mut seen = Seen::default();
    let mut connection = None;
    let mut sent = 0_usize;
    while Instant::now() < job.end && sent < job.limit {
        let mut open = match connection.take() {
            Some(open) => open,
            None => match job.connector.open().await {
                Ok(open) => open,
                Err(error) => {
                    seen.fail(error.to_string());
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
        };
        let request = match job.plan.request() {
            Ok(request) => request,
            Err(error) => {
                seen.fail(error.to_string());
                return seen;
            }
        };
        let start = Instant::now();
        let outcome = open.send(request).await;
        let time = start.elapsed();
        sent += 1;
        let fault = match outcome {
            Ok((status, body)) => job.plan.fault(status, &body).or_else(|| {
                let keys = job.keys.as_ref().filter(|_| sent % 100 == 1)?;
                seen.verified += 1;
                keys.verify(&body).err().map(|error| error.to_string())
            }),
            Err(error) => Some(error.to_string()),
        };
        match fault {
            Some(fault) => seen.fail(fault),
            None if start >= job.begin => seen.times.add(time),
            None => {}
        }
        if open.is_closed() {
            seen.reconnects += 1;
        } else {
            connection = Some(open);
        }
    }
    seen
}

impl Seen {
    fn fail(&mut self, why: String) {
        self.errors += 1;
        self.first_error.get_or_insert(why);
    }
}

async fn keys(url: &str, arguments: &Arguments) -> Result<Keys> {
    let shape = Shape {
        url: url.to_owned(),
        method: "GET".to_owned(),
        header: Vec::new(),
        body: String::new(),
        status: 200,
        contains: None,
        ca: arguments.shape.ca.clone(),
    };
    let plan = Plan::new(&shape)?;
    let connector = Connector::new(&plan.origin, shape.ca.as_deref())?;
    let (status, body) = connector.open().await?.send(plan.request()?).await?;
    ensure!(status == 200, "status {status}");
    Keys::parse(&body)
}

fn report(
    arguments: &Arguments,
    mut seen: Seen,
    elapsed: Duration,
    cpu: Duration,
) -> Result<Value> {
    seen.times.sort();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 requests")]
    let count = seen.times.count() as f64;
    let mut report = json!({
        "connections": arguments.connections,
        "seconds": elapsed.as_secs_f64(),
        "requests": seen.times.count(),
        "errors": seen.errors,
        "rps": count / elapsed.as_secs_f64(),
        "p50_ms": seen.times.percentile_ms(0.50),
        "p99_ms": seen.times.percentile_ms(0.99),
        "max_ms": seen.times.percentile_ms(1.0),
        "verified_tokens": seen.verified,
        "reconnects": seen.reconnects,
    });
    if let Some(error) = seen.first_error {
        report["first_error"] = json!(error);
    }
    if !arguments.pid.is_empty() {
        report["server_cpu_us_per_request"] = json!(cpu.as_secs_f64() * 1e6 / count.max(1.0));
        let peaks: Result<Vec<f64>> = arguments
            .pid
            .iter()
            .map(|pid| process::memory_mb(*pid, "VmHWM"))
            .collect();
        report["server_peak_mb"] = json!(peaks?.iter().sum::<f64>());
    }
    Ok(report)
}
