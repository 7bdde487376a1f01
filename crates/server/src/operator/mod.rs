//! Operators' tools that work on the data of an installation, beside a running server or without
//! one. A running server sees their changes within a minute.

pub(crate) mod audit;
pub(crate) mod client;
pub(crate) mod declared;
pub(crate) mod keys;
pub(crate) mod user;

use crate::{
    cli::{ConfigArgs, ScopeArgs},
    clock::SystemClock,
    config, database,
    installation::{claim, release},
    root_key,
};
use anyhow::{Result, bail};
use keystead_crypto::{SystemRng, random_token};
use keystead_identity::{Actor, BaseUrl, Context, Installation, environments::Environment};
use keystead_store::{Engine, environments as rows, installation, nodes::NODE_NUMBERS};
use keystead_types::{EnvironmentId, IdGenerator, PageRequest, PageSize};
use std::sync::Arc;

/// Rows of one page of a list.
const PAGE: u32 = 100;

/// Does `work` on the configured installation.
async fn with<T>(args: &ConfigArgs, work: impl AsyncFnOnce(&Context) -> Result<T>) -> Result<T> {
    let config = config::load(args.config.as_deref())?;
    let root_key = root_key::load(&config.root_key)?;
    let base_url = BaseUrl::parse(&config.server.public_url)?;
    let db = database::open(&database::config(&config.database)).await?;
    database::require_current(&db).await?;
    match installation::find(&mut db.read_admin()).await? {
        None => bail!("the database is empty: start the server once, it makes the first workspace"),
        Some(row) if !root_key.has_fingerprint(&row.root_key_fingerprint) => bail!(
            "the configured root key is not the one the data was written under: put that key in place"
        ),
        Some(_) => {}
    }
    let clock = Arc::new(SystemClock);
    let node = match db.engine() {
        Engine::Sqlite => None,
        Engine::Postgres => {
            let holder = random_token(&SystemRng, "tool_", 16).expose().clone();
            Some(claim(&db, &*clock, &holder).await?)
        }
    };
    // The one server of a SQLite file has the first number, so the last is free.
    let number = node.as_ref().map_or(NODE_NUMBERS - 1, |node| node.number);
    let installation = Installation {
        base_url,
        dev_mode: false,
    };
    let ctx = Context::new(
        db.clone(),
        clock.clone(),
        Arc::new(SystemRng),
        Arc::new(IdGenerator::new(number)),
        root_key,
        installation,
    );
    let done = work(&ctx).await;
    if let Some(node) = node {
        release(&db, &*clock, &node).await?;
    }
    db.close().await;
    done
}

/// Who is named in the audit trail.
fn actor() -> Actor {
    Actor {
        name: "operator".to_owned(),
        request_id: None,
    }
}

/// The environment of an id or a domain; the default one when none is named.
async fn environment(ctx: &Context, named: Option<&str>) -> Result<Environment> {
    let mut reader = ctx.db.read_admin();
    let found = match named {
        Some(text) => match text.parse::<EnvironmentId>() {
            Ok(id) => rows::find(&mut reader, id).await?,
            Err(_) => rows::find_by_domain(&mut reader, text).await?,
        },
        None => match ctx.default_environment().await? {
            Some(id) => rows::find(&mut reader, id).await?,
            None => None,
        },
    };
    let Some(environment) = found else {
        bail!(
            "there is no environment {}: `keystead keys list` names all of them",
            named.unwrap_or("by default")
        );
    };
    Ok(environment)
}

/// The environment that is named, or every one, deleted ones included. With its name when it lives.
async fn environments(
    ctx: &Context,
    args: &ScopeArgs,
) -> Result<Vec<(EnvironmentId, Option<String>)>> {
    if let Some(named) = &args.environment {
        let found = environment(ctx, Some(named)).await?;
        return Ok(vec![(found.id, Some(found.display_name))]);
    }
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let ids = rows::after(&mut ctx.db.read_admin(), &after, PAGE).await?;
        let Some(last) = ids.last() else {
            return Ok(all);
        };
        after = last.to_string();
        for id in ids {
            let found = rows::find(&mut ctx.db.read_admin(), id).await?;
            all.push((id, found.map(|environment| environment.display_name)));
        }
    }
}

fn first_page() -> PageRequest {
    PageRequest {
        size: PageSize::clamp(PAGE, PAGE, PAGE),
        token: String::new(),
    }
}
