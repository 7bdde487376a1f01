//! The name of a connection in code (AK-101).

use crate::{AgentKit, Error, error::Result, providers::Provider};
use keystead_crypto::random_token;
use keystead_store::entities::connections::{self, KEY_ID_INDEX};
use keystead_types::EnvironmentId;

impl AgentKit {
    pub(super) async fn default_name(
        &self,
        env: EnvironmentId,
        provider: &Provider,
    ) -> Result<String> {
        let mut read = self.ctx().db.read(env);
        if connections::find_by_key_id(&mut read, &provider.slug)
            .await?
            .is_none()
        {
            return Ok(provider.slug.clone());
        }
        let random = random_token(&*self.ctx().rng, "", 24);
        let suffix: String = random
            .expose()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(8)
            .collect();
        Ok(format!("{}-{suffix}", provider.slug))
    }
}

/// `[A-Za-z0-9_: -]`, 1 to 400 characters (AK-101).
pub(crate) fn checked_name(name: String) -> Result<String> {
    let legal = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_: -".contains(&byte));
    if legal && (1..=400).contains(&name.len()) && name.trim() == name {
        Ok(name)
    } else {
        Err(Error::field(
            "key_id",
            "must have 1 to 400 letters, digits, `_`, `:`, `-` or inner spaces",
        ))
    }
}

pub(super) fn name_taken(error: keystead_store::StoreError, name: &str) -> Error {
    if error.is_unique_violation(KEY_ID_INDEX) {
        Error::ConnectionNameTaken(name.to_owned())
    } else {
        error.into()
    }
}
