//! Sealing of credentials, bound to their row (AK-750).

use super::Credential;
use crate::{AgentKit, error::Result};
use keystead_crypto::Place;
use keystead_types::{EnvironmentId, Internal, Secret};
use serde::{Serialize, de::DeserializeOwned};

/// Where a sealed document of AgentKit lies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sealed<'a> {
    /// `connected_accounts.credential`, by account id.
    Account(&'a str),
    /// `auth_flows.sealed`, by flow id.
    Flow(&'a str),
    /// `pending_grants.sealed`, by account id.
    Pending(&'a str),
}

impl Sealed<'_> {
    fn place(&self, environment: EnvironmentId) -> Place<'_> {
        let (table, column, row) = match self {
            Self::Account(row) => ("connected_accounts", "credential", *row),
            Self::Flow(row) => ("auth_flows", "sealed", *row),
            Self::Pending(row) => ("pending_grants", "sealed", *row),
        };
        Place {
            environment,
            table,
            column,
            row,
        }
    }
}

impl AgentKit {
    /// Seals a document for its place.
    pub(crate) async fn seal(
        &self,
        env: EnvironmentId,
        place: Sealed<'_>,
        document: &impl Serialize,
    ) -> Result<Vec<u8>> {
        let plain = Secret::new(serde_json::to_vec(document).map_err(Internal::new)?);
        let keyring = self.ctx().keyring(env).await?;
        let sealed = keyring.seal(&*self.ctx().rng, &place.place(env), plain.expose());
        Ok(sealed.map_err(Internal::new)?)
    }

    /// Opens a document of its place.
    pub(crate) async fn open_sealed<T: DeserializeOwned>(
        &self,
        env: EnvironmentId,
        place: Sealed<'_>,
        sealed: &[u8],
    ) -> Result<T> {
        let keyring = self.ctx().keyring(env).await?;
        let plain = keyring
            .open(&place.place(env), sealed)
            .map_err(Internal::new)?;
        // The error of serde could quote the document, so it is not kept.
        let document = serde_json::from_slice(plain.expose());
        Ok(document.map_err(|_| Internal::new("a sealed document has an unknown shape"))?)
    }

    /// Opens the credential of an account; an absent one is empty.
    pub(crate) async fn open_credential(
        &self,
        env: EnvironmentId,
        account: &str,
        sealed: Option<&[u8]>,
    ) -> Result<Credential> {
        match sealed {
            None => Ok(Credential::default()),
            Some(sealed) => {
                self.open_sealed(env, Sealed::Account(account), sealed)
                    .await
            }
        }
    }
}
