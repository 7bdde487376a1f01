//! Many requests at the same moment: every connection is open before the first request leaves.

use crate::{Shape, connection::Connector, request::Plan, runtime, statistics::Times};
use anyhow::Result;
use clap::Args;
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Barrier;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    shape: Shape,
    /// Requests, each on a connection of its own.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// A second server that gets every other request: an origin such as http://127.0.0.1:8081.
    #[arg(long)]
    also: Option<String>,
    /// `Name: value` for the second server, in place of the same header for the first.
    #[arg(long)]
    also_header: Vec<String>,
    /// Longest wait for an answer, in seconds.
    #[arg(long, default_value_t = 60)]
    timeout: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    runtime(1)?.block_on(burst(arguments))
}

async fn burst(arguments: &Arguments) -> Result<()> {
    let mut targets = vec![target(&arguments.shape)?];
    if let Some(origin) = &arguments.also {
        targets.push(target(&second(
            &arguments.shape,
            origin,
            &arguments.also_header,
        ))?);
    }
    let barrier = Arc::new(Barrier::new(arguments.count));
    let timeout = Duration::from_secs(arguments.timeout);
    let mut tasks = Vec::with_capacity(arguments.count);
    for (plan, connector) in targets.iter().cycle().take(arguments.count) {
        let mut connection = connector.open().await?;
        let (plan, barrier) = (Arc::clone(plan), Arc::clone(&barrier));
        tasks.push(tokio::spawn(async move {
            barrier.wait().await;
            let start = Instant::now();
            let outcome =
                tokio::time::timeout(timeout, async { connection.send(plan.request()?).await })
                    .await;
            let fault = match outcome {
                Ok(Ok((status, body))) => plan.fault(status, &body),
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("no answer in time".to_owned()),
            };
            (start.elapsed(), fault)
        }));
    }
    let mut times = Times::default();
    let mut faults: BTreeMap<String, u64> = BTreeMap::new();
    for task in tasks {
        let (time, fault) = task.await?;
        times.add(time);
        if let Some(fault) = fault {
            *faults.entry(fault).or_default() += 1;
        }
    }
    times.sort();
    let errors: u64 = faults.values().sum();
    println!(
        "{}",
        json!({
            "requests": times.count(),
            "errors": errors,
            "faults": faults,
            "p50_ms": times.percentile_ms(0.5),
            "p99_ms": times.percentile_ms(0.99),
            "max_ms": times.percentile_ms(1.0),
        })
    );
    Ok(())
}

fn target(shape: &Shape) -> Result<(Arc<Plan>, Connector)> {
    let plan = Plan::new(shape)?;
    let connector = Connector::new(&plan.origin, shape.ca.as_deref())?;
    Ok((Arc::new(plan), connector))
}

/// The same request for another server.
fn second(first: &Shape, origin: &str, headers: &[String]) -> Shape {
    let start = first.url.find("://").map_or(0, |at| at + 3);
    let path = first.url[start..]
        .find('/')
        .map_or("", |at| &first.url[start + at..]);
    let name = |line: &str| {
        line.split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let replaced: Vec<String> = headers.iter().map(|line| name(line)).collect();
    let kept = first
        .header
        .iter()
        .filter(|line| !replaced.contains(&name(line)));
    Shape {
        url: format!("{}{path}", origin.trim_end_matches('/')),
        header: kept.chain(headers).cloned().collect(),
        ..first.clone()
    }
}
