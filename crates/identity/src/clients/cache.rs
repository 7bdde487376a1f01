use super::{Client, read};
use crate::{Context, keys::shared};
use keystead_types::{ClientId, EnvironmentId, Internal};
use moka::future::Cache;
use std::{sync::Arc, time::Duration};

/// How long a client is kept before the database is asked again. A secret revoked on another node
/// stops working within this time.
const CACHE_TTL: Duration = Duration::from_secs(30);
const CACHED_CLIENTS: u64 = 10_000;

#[derive(Debug)]
pub(crate) struct ClientCache(Cache<(EnvironmentId, ClientId), Option<Arc<Client>>>);

impl ClientCache {
    pub(crate) fn new() -> Self {
        Self(
            Cache::builder()
                .max_capacity(CACHED_CLIENTS)
                .time_to_live(CACHE_TTL)
                .build(),
        )
    }

    pub(super) async fn forget(&self, env: EnvironmentId, id: ClientId) {
        self.0.invalidate(&(env, id)).await;
    }
}

impl Context {
    /// A client with its secrets, from memory when it was asked for within half a minute.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn cached_client(
        &self,
        env: EnvironmentId,
        id: ClientId,
    ) -> Result<Option<Arc<Client>>, Internal> {
        if let Some(client) = self.clients.0.get(&(env, id)).await {
            return Ok(client);
        }
        let load = async {
            let found = read::find(&mut self.db.read(env), id)
                .await
                .map_err(Internal::new)?;
            Ok::<_, Internal>(found.map(Arc::new))
        };
        // Cold path, on the heap: it must not widen every caller's future.
        let cache = &self.clients.0;
        Box::pin(cache.try_get_with((env, id), Box::pin(load)))
            .await
            .map_err(shared)
    }
}
