use crate::{bearer::VerifiedBearers, sessions::SessionCache, token::FailedAttempts, uses::Uses};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use keystead_identity::Context;
use keystead_types::{EnvironmentId, Internal};
use std::sync::Arc;

/// Issues and checks credentials. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authorizer {
    pub(crate) ctx: Context,
    pub(crate) bearers: Arc<VerifiedBearers>,
    pub(crate) sessions: Arc<SessionCache>,
    pub(crate) failures: Arc<FailedAttempts>,
    pub(crate) uses: Arc<Uses>,
}

/// A published key set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Jwks {
    /// The JSON document (MC-310).
    pub json: String,
    /// Strong validator for `ETag`, quotes included (MC-314).
    pub etag: String,
}

impl Authorizer {
    /// Makes the only authorizer of the process.
    pub fn new(ctx: Context) -> Self {
        Self {
            ctx,
            bearers: Arc::default(),
            sessions: Arc::default(),
            failures: Arc::default(),
            uses: Arc::default(),
        }
    }

    /// The context it works with.
    pub const fn context(&self) -> &Context {
        &self.ctx
    }

    /// The published keys of an environment (MC-310), served from memory.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub async fn jwks(&self, env: EnvironmentId) -> Result<Jwks, Internal> {
        let keys = self.ctx.signing_keys(env).await?;
        let hash = self.ctx.keys.hasher.hash("jwks etag", &keys.jwks);
        let etag = BASE64_URL_SAFE_NO_PAD.encode(hash.as_bytes());
        Ok(Jwks {
            json: keys.jwks.clone(),
            etag: format!("\"{etag}\""),
        })
    }
}
