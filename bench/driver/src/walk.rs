//! Follows a list from its first page to its last, and compares the cost of early and late pages.

use crate::{Shape, connection::Connector, request::Plan, runtime, statistics::Times};
use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::{collections::HashSet, time::Instant};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    shape: Shape,
    /// Name of the list in the answer.
    #[arg(long)]
    list: String,
    /// Pages at each end that are compared.
    #[arg(long, default_value_t = 50)]
    edge: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    runtime(1)?.block_on(walk(arguments))
}

async fn walk(arguments: &Arguments) -> Result<()> {
    let plan = Plan::new(&arguments.shape)?;
    let connector = Connector::new(&plan.origin, arguments.shape.ca.as_deref())?;
    let mut connection = connector.open().await?;
    let joint = if arguments.shape.url.contains('?') {
        '&'
    } else {
        '?'
    };
    let (mut ids, mut times, mut total) = (HashSet::new(), Vec::new(), 0);
    let mut token = String::new();
    loop {
        let mut request = plan.request()?;
        if !token.is_empty() {
            let path = format!("{}{joint}page_token={token}", request.uri());
            *request.uri_mut() = path.parse()?;
        }
        let start = Instant::now();
        let (status, body) = connection.send(request).await?;
        times.push(start.elapsed());
        if let Some(fault) = plan.fault(status, &body) {
            anyhow::bail!("page {}: {fault}", times.len());
        }
        let page: Value = serde_json::from_slice(&body)?;
        total = page["total_size"].as_u64().unwrap_or(total);
        for entry in page[&arguments.list].as_array().into_iter().flatten() {
            let id = entry["id"].as_str().context("an entry has an id")?;
            ensure!(ids.insert(id.to_owned()), "{id} came twice");
        }
        match page["next_page_token"].as_str() {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            _ => break,
        }
        if connection.is_closed() {
            connection = connector.open().await?;
        }
    }
    let edge = |times: &mut dyn Iterator<Item = &std::time::Duration>| {
        let mut edge = Times::default();
        times.take(arguments.edge).for_each(|time| edge.add(*time));
        edge.sort();
        edge.percentile_ms(0.5)
    };
    println!(
        "{}",
        json!({
            "pages": times.len(),
            "entries": ids.len(),
            "total_size": total,
            "first_pages_p50_ms": edge(&mut times.iter()),
            "last_pages_p50_ms": edge(&mut times.iter().rev()),
        })
    );
    Ok(())
}
