use super::{Environment, Error};
use crate::{Context, base_url::host_of, keys::shared};
use keystead_store::{
    SortKey,
    entities::{environments as rows, installation},
};
use keystead_types::{EnvironmentId, Id, Internal, Page, PageRequest, WorkspaceId};
use moka::future::Cache;
use std::{sync::Arc, time::Duration};

/// How long a host keeps its environment before the database is asked again: another node may have
/// changed it.
const CACHE_TTL: Duration = Duration::from_secs(60);
const CACHED_HOSTS: u64 = 10_000;

/// An environment together with the address it is served at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// The environment.
    pub environment: Environment,
    /// Its address without a trailing slash: the issuer of its tokens (LG-001).
    pub base_url: String,
}

#[derive(Debug)]
pub(crate) struct EnvironmentCache {
    by_host: Cache<String, Option<Arc<Site>>>,
    by_id: Cache<EnvironmentId, Option<Arc<Site>>>,
    /// Chosen at first start and never changed, so it is read once.
    default: tokio::sync::OnceCell<Option<EnvironmentId>>,
}

impl EnvironmentCache {
    pub(crate) fn new() -> Self {
        fn cache<
            K: std::hash::Hash + Eq + Send + Sync + 'static,
            V: Clone + Send + Sync + 'static,
        >() -> Cache<K, V> {
            Cache::builder()
                .max_capacity(CACHED_HOSTS)
                .time_to_live(CACHE_TTL)
                .build()
        }
        Self {
            by_host: cache(),
            by_id: cache(),
            default: tokio::sync::OnceCell::new(),
        }
    }

    pub(super) async fn forget(&self, id: EnvironmentId) {
        self.by_id.invalidate(&id).await;
        self.by_host.invalidate_all();
    }
}

impl Context {
    /// Finds the environment that a request is for.
    ///
    /// `authority` is the `Host` header or `:authority`. The host of the base URL means the default
    /// environment; in dev mode every loopback name does. Every other host must be the domain of an
    /// environment (DB-020).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn site_by_host(&self, authority: &str) -> Result<Option<Arc<Site>>, Internal> {
        let Some(host) = host_of(authority) else {
            return Ok(None);
        };
        if let Some(site) = self.environments.by_host.get(&host).await {
            return Ok(site);
        }
        let load = self.load_by_host(host.clone());
        // Cold path, on the heap: it must not widen every caller's future.
        let cache = &self.environments.by_host;
        Box::pin(cache.try_get_with(host, Box::pin(load)))
            .await
            .map_err(shared)
    }

    async fn load_by_host(&self, host: String) -> Result<Option<Arc<Site>>, Internal> {
        let settings = &self.installation;
        let loopback = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
        if host == settings.base_url.host() || (settings.dev_mode && loopback) {
            return match self.default_environment().await? {
                Some(id) => Box::pin(self.site(id)).await,
                None => Ok(None),
            };
        }
        let found = rows::find_by_domain(&mut self.db.read_admin(), &host)
            .await
            .map_err(Internal::new)?;
        match found {
            Some(environment) => self.locate(environment).await.map(Some),
            None => Ok(None),
        }
    }

    /// The environment with an id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn site(&self, id: EnvironmentId) -> Result<Option<Arc<Site>>, Internal> {
        if let Some(site) = self.environments.by_id.get(&id).await {
            return Ok(site);
        }
        let load = async {
            let found = rows::find(&mut self.db.read_admin(), id)
                .await
                .map_err(Internal::new)?;
            match found {
                Some(environment) => self.locate(environment).await.map(Some),
                None => Ok(None),
            }
        };
        // Cold path, on the heap: it must not widen every caller's future.
        let cache = &self.environments.by_id;
        Box::pin(cache.try_get_with(id, Box::pin(load)))
            .await
            .map_err(shared)
    }

    /// The environment served at the base URL itself; `None` before the first start.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn default_environment(&self) -> Result<Option<EnvironmentId>, Internal> {
        let read = || async {
            let row = installation::find(&mut self.db.read_admin())
                .await
                .map_err(Internal::new)?;
            Ok::<_, Internal>(row.and_then(|row| row.default_environment))
        };
        match self.environments.default.get_or_try_init(read).await? {
            Some(id) => Ok(Some(*id)),
            None => read().await,
        }
    }

    async fn locate(&self, environment: Environment) -> Result<Arc<Site>, Internal> {
        let base = &self.installation.base_url;
        let base_url = if self.default_environment().await? == Some(environment.id) {
            base.to_string()
        } else {
            base.at(&environment.domain)
        };
        Ok(Arc::new(Site {
            environment,
            base_url,
        }))
    }
}

/// Gets an environment of a workspace. One of another workspace does not exist (DB-022).
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(
    ctx: &Context,
    workspace: WorkspaceId,
    id: EnvironmentId,
) -> Result<Environment, Error> {
    let found = rows::find(&mut ctx.db.read_admin(), id).await?;
    found
        .filter(|environment| environment.workspace == workspace)
        .ok_or(Error::NotFound)
}

/// Lists the environments of a workspace, oldest first (DB-022).
///
/// # Errors
/// [`Error::InvalidPageToken`].
pub async fn list(
    ctx: &Context,
    workspace: WorkspaceId,
    page: &PageRequest,
) -> Result<Page<Environment>, Error> {
    let owner = workspace.to_string();
    let window = ctx.workspace_window(page, "environments", owner.as_bytes())?;
    let mut reader = ctx.db.read_admin();
    let items = rows::list(&mut reader, workspace, &window).await?;
    let total_size = rows::count(&mut reader, workspace).await?;
    let page = window.finish(items, total_size, |item| {
        (SortKey::Int(item.created_at.as_micros()), item.id.number())
    });
    // The contract's answer has no way back.
    Ok(Page {
        prev_page_token: String::new(),
        ..page
    })
}
