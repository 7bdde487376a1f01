//! Remembers when credentials were used, so that using one writes nothing.

use crate::Authorizer;
use keystead_identity::clients;
use keystead_store::entities::sessions as rows;
use keystead_types::{ClientSecretId, EnvironmentId, Internal, Timestamp};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Above this many credentials between two flushes, further ones are not remembered.
const MAX_REMEMBERED: usize = 100_000;

#[derive(Default, Debug)]
pub(crate) struct Uses(Mutex<Remembered>);

#[derive(Default, Debug)]
struct Remembered {
    secrets: HashMap<(EnvironmentId, ClientSecretId), Timestamp>,
    sessions: HashMap<[u8; 32], Timestamp>,
}

impl Uses {
    pub(crate) fn secret(&self, env: EnvironmentId, id: ClientSecretId, at: Timestamp) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.secrets.len() < MAX_REMEMBERED {
            remembered.secrets.insert((env, id), at);
        }
    }

    pub(crate) fn session(&self, token_hash: [u8; 32], at: Timestamp) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.sessions.len() < MAX_REMEMBERED {
            remembered.sessions.insert(token_hash, at);
        }
    }

    fn take(&self) -> Remembered {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Authorizer {
    /// Stores when secrets and sessions were last used. Call it every half minute and at shutdown.
    ///
    /// # Errors
    /// When the database fails; what was remembered is then lost, which only makes the times older.
    pub async fn flush_uses(&self) -> Result<(), Internal> {
        let Remembered { secrets, sessions } = self.uses.take();
        let mut by_environment: HashMap<EnvironmentId, Vec<(ClientSecretId, Timestamp)>> =
            HashMap::new();
        for ((env, id), at) in secrets {
            by_environment.entry(env).or_default().push((id, at));
        }
        for (env, uses) in by_environment {
            clients::note_secret_uses(&self.ctx, env, &uses).await?;
        }
        if !sessions.is_empty() {
            let mut tx = self.ctx.db.begin_admin().await.map_err(Internal::new)?;
            for (token_hash, at) in sessions {
                rows::member_session_seen(&mut tx, &token_hash, at)
                    .await
                    .map_err(Internal::new)?;
            }
            tx.commit().await.map_err(Internal::new)?;
        }
        Ok(())
    }
}
