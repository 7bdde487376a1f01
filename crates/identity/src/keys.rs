use crate::Context;
use keystead_crypto::{CursorKey, DataKey, Keyring, Place, RootKey, TokenHasher};
use keystead_jose::{JwkSet, KeySet, RsaKey};
use keystead_store::{
    Tx,
    entities::{
        data_keys::{self, DataKeyStatus, WrappedDataKey},
        signing_keys::{self, SealedSigningKey, SigningKeyStatus},
    },
};
use keystead_types::{EnvironmentId, Internal, Secret, SigningKeyId};
use moka::future::Cache;
use std::{fmt, sync::Arc, time::Duration};

/// How long keys are kept before the database is asked again: other nodes may have rotated them.
const CACHE_TTL: Duration = Duration::from_secs(60);
const CACHED_ENVIRONMENTS: u64 = 10_000;

/// Everything derived from the root key, and the keys of each environment, parsed once.
pub struct Keys {
    root: RootKey,
    /// Hashes tokens and secrets that are stored.
    pub hasher: TokenHasher,
    /// Signs page tokens.
    pub cursor: CursorKey,
    keyrings: Cache<EnvironmentId, Arc<Keyring>>,
    signing: Cache<EnvironmentId, Arc<SigningKeys>>,
}

/// The signing keys of one environment.
#[derive(Debug)]
pub struct SigningKeys {
    /// The key that signs.
    pub active: RsaKey,
    /// Every published key, ready to verify with.
    pub published: KeySet,
    /// The published key set as JSON (MC-310).
    pub jwks: String,
}

impl Keys {
    pub(crate) fn new(root: RootKey) -> Self {
        let hasher = TokenHasher::new(&root);
        let cursor = CursorKey::new(&root);
        Self {
            root,
            hasher,
            cursor,
            keyrings: cache(),
            signing: cache(),
        }
    }

    /// Tells this root key from others; stored beside the data.
    pub(crate) fn fingerprint(&self) -> String {
        self.root.fingerprint()
    }

    /// Whether the data was written under this root key.
    pub(crate) fn fits(&self, fingerprint: &str) -> bool {
        self.root.has_fingerprint(fingerprint)
    }
}

fn cache<V: Clone + Send + Sync + 'static>() -> Cache<EnvironmentId, V> {
    Cache::builder()
        .max_capacity(CACHED_ENVIRONMENTS)
        .time_to_live(CACHE_TTL)
        .build()
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// Makes the first data key of a new environment.
pub(crate) async fn create_data_key(
    tx: &mut Tx,
    ctx: &Context,
    env: EnvironmentId,
) -> Result<(), Internal> {
    let key = DataKey::generate(&*ctx.rng, 1);
    let wrapped = key
        .wrap(&*ctx.rng, &ctx.keys.root, env)
        .map_err(Internal::new)?;
    let (status, created_at) = (DataKeyStatus::Active, ctx.clock.now());
    let new = WrappedDataKey {
        version: i64::from(key.version),
        wrapped,
        status,
        created_at,
    };
    data_keys::insert(tx, &new).await.map_err(Internal::new)
}

impl Context {
    /// The keyring that seals and opens the stored credentials of an environment.
    ///
    /// # Errors
    /// When the database cannot be read or a key does not open.
    pub async fn keyring(&self, env: EnvironmentId) -> Result<Arc<Keyring>, Internal> {
        let load = self.load_keyring(env);
        // Cold path, on the heap: it must not widen every caller's future.
        let cache = &self.keys.keyrings;
        Box::pin(cache.try_get_with(env, Box::pin(load)))
            .await
            .map_err(shared)
    }

    async fn load_keyring(&self, env: EnvironmentId) -> Result<Arc<Keyring>, Internal> {
        let rows = data_keys::list(&mut self.db.read(env))
            .await
            .map_err(Internal::new)?;
        let mut primary = None;
        let mut older = Vec::new();
        for row in rows {
            let key = DataKey::unwrap(&self.keys.root, env, &row.wrapped).map_err(Internal::new)?;
            match row.status {
                DataKeyStatus::Active => primary = Some(key),
                DataKeyStatus::Deprecated => older.push(key),
            }
        }
        let primary =
            primary.ok_or_else(|| Internal::new(format!("{env} has no active data key")))?;
        Ok(Arc::new(
            Keyring::new(&primary, &older).map_err(Internal::new)?,
        ))
    }

    /// The signing keys of an environment. The first call ever makes them, so that starting an
    /// empty installation does not wait for prime numbers.
    ///
    /// # Errors
    /// When the database cannot be read or a key does not open.
    pub async fn signing_keys(&self, env: EnvironmentId) -> Result<Arc<SigningKeys>, Internal> {
        if let Some(keys) = self.keys.signing.get(&env).await {
            return Ok(keys);
        }
        let load = self.load_signing_keys(env);
        // Cold path, on the heap: it must not widen every caller's future.
        let cache = &self.keys.signing;
        Box::pin(cache.try_get_with(env, Box::pin(load)))
            .await
            .map_err(shared)
    }

    async fn load_signing_keys(&self, env: EnvironmentId) -> Result<Arc<SigningKeys>, Internal> {
        let mut rows = self.signing_key_rows(env).await?;
        for wanted in [SigningKeyStatus::Active, SigningKeyStatus::Next] {
            if !rows.iter().any(|row| row.status == wanted) {
                self.add_signing_key(env, wanted).await?;
                rows = self.signing_key_rows(env).await?;
            }
        }
        let keyring = self.keyring(env).await?;
        let mut active = None;
        let mut published = Vec::new();
        for row in rows {
            let kid = row.id.to_string();
            let place = Place {
                environment: env,
                table: "signing_keys",
                column: "sealed",
                row: &kid,
            };
            let pkcs8 = keyring.open(&place, &row.sealed).map_err(Internal::new)?;
            let key = RsaKey::from_pkcs8(pkcs8.expose()).map_err(Internal::new)?;
            let key = key.with_key_id(Some(kid));
            published.push(key.public_jwk());
            if row.status == SigningKeyStatus::Active {
                active = Some(key);
            }
        }
        let jwks = JwkSet { keys: published };
        Ok(Arc::new(SigningKeys {
            active: active
                .ok_or_else(|| Internal::new(format!("{env} has no active signing key")))?,
            published: KeySet::new(&jwks.keys).map_err(Internal::new)?,
            jwks: serde_json::to_string(&jwks).map_err(Internal::new)?,
        }))
    }

    pub(crate) async fn signing_key_rows(
        &self,
        env: EnvironmentId,
    ) -> Result<Vec<SealedSigningKey>, Internal> {
        signing_keys::list(&mut self.db.read(env))
            .await
            .map_err(Internal::new)
    }

    async fn add_signing_key(
        &self,
        env: EnvironmentId,
        status: SigningKeyStatus,
    ) -> Result<(), Internal> {
        let new = self.new_signing_key(env, status).await?;
        let mut tx = self.db.begin(env).await.map_err(Internal::new)?;
        signing_keys::insert(&mut tx, &new)
            .await
            .map_err(Internal::new)?;
        tx.commit().await.map_err(Internal::new)
    }

    pub(crate) async fn new_signing_key(
        &self,
        env: EnvironmentId,
        status: SigningKeyStatus,
    ) -> Result<SealedSigningKey, Internal> {
        let make = || RsaKey::generate().and_then(|key| key.to_pkcs8());
        let pkcs8: Secret<Vec<u8>> = tokio::task::spawn_blocking(make)
            .await
            .map_err(Internal::new)?
            .map_err(Internal::new)?;
        let id: SigningKeyId = self.ids.next(&*self.clock);
        let kid = id.to_string();
        let place = Place {
            environment: env,
            table: "signing_keys",
            column: "sealed",
            row: &kid,
        };
        let keyring = self.keyring(env).await?;
        let sealed = keyring
            .seal(&*self.rng, &place, pkcs8.expose())
            .map_err(Internal::new)?;
        let now = self.clock.now();
        let activated_at = (status == SigningKeyStatus::Active).then_some(now);
        Ok(SealedSigningKey {
            id,
            sealed,
            status,
            created_at: now,
            activated_at,
            remove_after: None,
        })
    }

    /// Forgets the parsed signing keys of an environment.
    pub(crate) async fn forget_signing_keys(&self, env: EnvironmentId) {
        self.keys.signing.invalidate(&env).await;
    }
}

/// A failure that several waiting callers share.
#[expect(clippy::needless_pass_by_value, reason = "what map_err gives")]
pub(crate) fn shared(error: Arc<Internal>) -> Internal {
    Internal::new(error.to_string())
}

impl SigningKeys {
    /// The `kid` of the key that signs.
    pub fn active_kid(&self) -> &str {
        keystead_jose::Signer::key_id(&self.active).unwrap_or_default()
    }
}
