//! Removing a connection (AK-121).

use crate::{AgentKit, Error, error::Result, record};
use keystead_identity::Actor;
use keystead_store::entities::{connected_accounts, connections};
use keystead_types::{ConnectionId, EnvironmentId};

impl AgentKit {
    /// Removes a connection without accounts (AK-121).
    ///
    /// # Errors
    /// [`Error::ConnectionInUse`].
    pub async fn delete_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        id: ConnectionId,
    ) -> Result<()> {
        let mut tx = self.ctx().db.begin(env).await?;
        let accounts = connected_accounts::count_of_connection(&mut tx, id).await?;
        if accounts > 0 {
            return Err(Error::ConnectionInUse(accounts));
        }
        if !connections::delete(&mut tx, id).await? {
            return Err(Error::ConnectionNotFound(id.to_string()));
        }
        record::audit(
            &mut tx,
            self.ctx(),
            actor,
            "connection.deleted",
            &id.to_string(),
        )
        .await?;
        tx.commit().await?;
        self.forget_all(env);
        Ok(())
    }
}
