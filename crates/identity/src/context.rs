use crate::{BaseUrl, clients::ClientCache, environments::EnvironmentCache, keys::Keys};
use keystead_crypto::{CursorScope, RootKey};
use keystead_store::{Db, StoreError, Window};
use keystead_types::{Clock, EnvironmentId, Id, IdGenerator, PageRequest, Rng};
use std::sync::Arc;

/// What every use case needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// New ids.
    pub ids: Arc<IdGenerator>,
    /// Everything derived from the root key.
    pub keys: Arc<Keys>,
    /// How this installation is reached.
    pub installation: Arc<Installation>,
    pub(crate) environments: Arc<EnvironmentCache>,
    pub(crate) clients: Arc<ClientCache>,
}

/// Settings of the installation that decide how it is reached.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Where the default environment is served.
    pub base_url: BaseUrl,
    /// Whether this is a developer's machine: loopback names select the default environment too.
    pub dev_mode: bool,
}

impl Context {
    /// Puts the parts together.
    pub fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        ids: Arc<IdGenerator>,
        root_key: RootKey,
        installation: Installation,
    ) -> Self {
        Self {
            db,
            clock,
            rng,
            ids,
            keys: Arc::new(Keys::new(root_key)),
            installation: Arc::new(installation),
            environments: Arc::new(EnvironmentCache::new()),
            clients: Arc::new(ClientCache::new()),
        }
    }
}

impl Context {
    /// Reads the page token of a list of an environment; `filter` are its filters.
    pub(crate) fn window<'a>(
        &'a self,
        page: &PageRequest,
        list: &'static str,
        environment: EnvironmentId,
        filter: &'a [u8],
    ) -> Result<Window<'a>, StoreError> {
        Window::open(
            page,
            &self.keys.cursor,
            CursorScope {
                list,
                environment,
                filter,
            },
        )
    }

    /// Reads the page token of a list that belongs to no environment.
    pub(crate) fn workspace_window<'a>(
        &'a self,
        page: &PageRequest,
        list: &'static str,
        filter: &'a [u8],
    ) -> Result<Window<'a>, StoreError> {
        self.window(page, list, EnvironmentId::from_number(0), filter)
    }
}

/// Who does something, for the audit log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// Kind and id, such as `client:skc_1` or `member:mem_1`.
    pub name: String,
    /// The request that caused it.
    pub request_id: Option<String>,
}

impl Actor {
    /// The installation itself: first start, background jobs.
    pub fn system() -> Self {
        Self {
            name: "system".to_owned(),
            request_id: None,
        }
    }
}
