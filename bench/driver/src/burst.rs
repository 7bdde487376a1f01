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
    /// Further servers that share the requests: origins such as http://127.0.0.1:8081.
    #[arg(long)]
    also: Vec<String>,
    /// Longest wait for an answer, in seconds.
    #[arg(long, default_value_t = 60)]
    timeout: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    runtime(1)?.block_on(burst(arguments))
}

async fn burst(arguments: &Arguments) -> Result<()> {
    let plan = Arc::new(Plan::new(&arguments.shape)?);
    let mut connectors = vec![Connector::new(&plan.origin, arguments.shape.ca.as_deref())?];
    for url in &arguments.also {
        let origin = crate::request::Origin::of(&url.parse()?)?;
        connectors.push(Connector::new(&origin, arguments.shape.ca.as_deref())?);
    }
    let barrier = Arc::new(Barrier::new(arguments.count));
    let timeout = Duration::from_secs(arguments.timeout);
    let mut tasks = Vec::with_capacity(arguments.count);
    for connector in connectors.iter().cycle().take(arguments.count) {
        let mut connection = connector.open().await?;
        let (plan, barrier) = (Arc::clone(&plan), Arc::clone(&barrier));
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
