//! The installation behind an open database: node number, keys, first start.

use crate::{clock::SystemClock, database};
use anyhow::{Context as _, Result, bail};
use keystead_crypto::{RootKey, SystemRng, random_token};
use keystead_identity::{BaseUrl, Context, Created, FirstStart, Installation};
use keystead_store::{
    Db, Engine,
    nodes::{self, Node},
};
use keystead_types::{Clock, IdGenerator};
use std::{sync::Arc, time::Duration};

/// How long a node number is claimed for; renewed three times as often.
pub(crate) const NODE_LIFETIME: Duration = Duration::from_secs(60);

/// An installation that can be served.
pub(crate) struct Opened {
    pub(crate) ctx: Context,
    /// Names this run of this process.
    pub(crate) holder: String,
    /// The node number, on an engine that several nodes may share.
    pub(crate) node: Option<Node>,
    /// What the first start made; `None` when the installation existed.
    pub(crate) created: Option<Created>,
}

/// Brings the tables up to date, takes a node number, checks the root key and fills an empty
/// database.
pub(crate) async fn open(
    db: Db,
    root_key: RootKey,
    base_url: BaseUrl,
    dev_mode: bool,
    seed: FirstStart,
) -> Result<Opened> {
    database::migrate(&db).await?;
    let clock = Arc::new(SystemClock);
    let holder = random_token(&SystemRng, "node_", 16).expose().clone();
    let node = match db.engine() {
        Engine::Sqlite => None,
        Engine::Postgres => Some(claim(&db, &*clock, &holder).await?),
    };
    let number = node.as_ref().map_or(0, |node| node.number);
    let installation = Installation { base_url, dev_mode };
    let ids = Arc::new(IdGenerator::new(number));
    let ctx = Context::new(db, clock, Arc::new(SystemRng), ids, root_key, installation);
    let created = keystead_identity::start(&ctx, seed).await?;
    Ok(Opened {
        ctx,
        holder,
        node,
        created,
    })
}

/// Takes a number that no other process has.
pub(crate) async fn claim(db: &Db, clock: &dyn Clock, holder: &str) -> Result<Node> {
    let now = clock.now();
    let mut tx = db.begin_admin().await.context("claim a node number")?;
    let Some(node) = nodes::claim(&mut tx, holder, now, now.plus(NODE_LIFETIME)).await? else {
        bail!("all {} node numbers are in use", nodes::NODE_NUMBERS);
    };
    tx.commit().await.context("claim a node number")?;
    Ok(node)
}

/// Gives a number back.
pub(crate) async fn release(db: &Db, clock: &dyn Clock, node: &Node) -> Result<()> {
    let mut tx = db.begin_admin().await.context("give back a node number")?;
    nodes::release(&mut tx, node, clock.now()).await?;
    tx.commit().await.context("give back a node number")
}
