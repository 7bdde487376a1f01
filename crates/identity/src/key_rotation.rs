//! The life of signing keys: next, active, retiring, gone (MC-312, MC-313).

use crate::{Actor, Context, audit};
use keystead_store::entities::signing_keys::{self, SealedSigningKey, SigningKeyStatus};
use keystead_types::{EnvironmentId, ErrorCode, Internal, Reason, SigningKeyId, Timestamp};
use serde_json::json;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Keys are changed at most this often: clients that read the key set once have to be restarted
/// between two rotations (MC-313).
pub const MIN_ROTATION_INTERVAL: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A key is published this long before it signs (LG-007).
const PUBLISHED_AHEAD: Duration = DAY;
/// Longest life of anything a signing key signs, and an hour more (MC-313).
const RETIREMENT: Duration = Duration::from_secs(25 * 60 * 60);

/// How keys are changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rotation {
    /// Tokens signed by the former key stay valid until they end.
    Orderly,
    /// A key has leaked: it goes at once, and with it every token it signed. Neither the interval
    /// nor the time of publication is waited for.
    Emergency,
}

/// A signing key, without the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SigningKeyInfo {
    /// Its `kid`.
    pub id: SigningKeyId,
    /// Where it stands.
    pub status: SigningKeyStatus,
    /// When it was made and published.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When it leaves the key set.
    pub remove_after: Option<Timestamp>,
}

impl From<&SealedSigningKey> for SigningKeyInfo {
    fn from(row: &SealedSigningKey) -> Self {
        Self {
            id: row.id,
            status: row.status,
            created_at: row.created_at,
            activated_at: row.activated_at,
            remove_after: row.remove_after,
        }
    }
}

/// Why the keys were not changed.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// Clients that read the key set once may not know the next key yet.
    #[error("the signing keys can be rotated again in {} hours", .0.as_secs().div_ceil(3600))]
    TooSoon(Duration),
    /// Somebody else rotated them at the same time.
    #[error("the signing keys were rotated by somebody else meanwhile")]
    Raced,
    /// Something broke on our side.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl Reason for RotationError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::TooSoon(_) => ErrorCode::FailedPrecondition,
            Self::Raced => ErrorCode::Aborted,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }
}

impl Context {
    /// The signing keys of an environment, oldest first. None before the first token.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signing_key_infos(
        &self,
        env: EnvironmentId,
    ) -> Result<Vec<SigningKeyInfo>, Internal> {
        let rows = self.signing_key_rows(env).await?;
        Ok(rows.iter().map(SigningKeyInfo::from).collect())
    }

    /// Lets the published next key sign, publishes a fresh next one and keeps the former until
    /// everything it signed has expired (MC-312, MC-313). Gives the `kid` that signs now.
    ///
    /// Other nodes see it within a minute; what they sign meanwhile is still verified, unless it is
    /// an emergency.
    ///
    /// # Errors
    /// [`RotationError::TooSoon`], [`RotationError::Raced`].
    pub async fn rotate_signing_keys(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        rotation: Rotation,
    ) -> Result<SigningKeyId, RotationError> {
        self.signing_keys(env).await?;
        let rows = self.signing_key_rows(env).await?;
        let of = |status| rows.iter().find(|row| row.status == status);
        let missing = |what: &str| Internal::new(format!("{env} has no {what} signing key"));
        let former = of(SigningKeyStatus::Active).ok_or_else(|| missing("active"))?;
        let next = of(SigningKeyStatus::Next).ok_or_else(|| missing("next"))?;
        let now = self.clock.now();
        if rotation == Rotation::Orderly {
            let wait = wait_for(former, next, now);
            if !wait.is_zero() {
                return Err(RotationError::TooSoon(wait));
            }
        }
        let fresh = self.new_signing_key(env, SigningKeyStatus::Next).await?;
        let mut tx = self.db.begin(env).await.map_err(Internal::new)?;
        // Everything below hangs on this: of two nodes that rotate at once, one finds nothing.
        let is_first = signing_keys::retire(&mut tx, former.id, now.plus(RETIREMENT))
            .await
            .map_err(Internal::new)?;
        if !is_first {
            return Err(RotationError::Raced);
        }
        if rotation == Rotation::Emergency {
            signing_keys::revoke(&mut tx).await.map_err(Internal::new)?;
        }
        signing_keys::promote(&mut tx, now)
            .await
            .map_err(Internal::new)?;
        signing_keys::insert(&mut tx, &fresh)
            .await
            .map_err(Internal::new)?;
        let detail = json!({
            "former": former.id.to_string(),
            "emergency": rotation == Rotation::Emergency,
        });
        let target = next.id.to_string();
        audit::record(&mut tx, self, actor, "signing_key.rotated", &target, detail).await?;
        tx.commit().await.map_err(Internal::new)?;
        self.forget_signing_keys(env).await;
        Ok(next.id)
    }
}

/// How long an orderly rotation has to wait; zero when it is allowed.
fn wait_for(former: &SealedSigningKey, next: &SealedSigningKey, now: Timestamp) -> Duration {
    let since = former.activated_at.unwrap_or(former.created_at);
    let from_former = MIN_ROTATION_INTERVAL.saturating_sub(now.since(since));
    let from_next = PUBLISHED_AHEAD.saturating_sub(now.since(next.created_at));
    from_former.max(from_next)
}
