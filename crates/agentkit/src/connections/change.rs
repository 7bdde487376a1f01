//! Changing a connection and switching it on and off (AK-101, AK-104, AK-121).

use super::{
    Connection, ConnectionSettings, SecretsPatch,
    name::{checked_name, name_taken},
    readiness::complete,
};
use crate::{AgentKit, Error, error::Result, providers::Provider, record};
use keystead_identity::Actor;
use keystead_store::entities::{connected_accounts, connections};
use keystead_types::{ConnectionId, EnvironmentId};

/// A change of a connection; `None` keeps the value.
#[derive(Clone, Debug, Default)]
pub struct ConnectionPatch {
    /// Name in code.
    pub key_id: Option<String>,
    /// Replaces the settings that are not secret; made from the current ones.
    pub settings: Option<ConnectionSettings>,
    /// New secrets.
    pub secrets: SecretsPatch,
}

/// How often a change is tried that others keep overtaking.
const MAX_TRIES: usize = 50;

impl AgentKit {
    /// Changes a connection; completing its settings switches it on (AK-104).
    ///
    /// # Errors
    /// Those of [`Self::change_connection`].
    pub async fn update_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        id: ConnectionId,
        patch: ConnectionPatch,
    ) -> Result<Connection> {
        self.change_connection(env, actor, id, |_| Ok(patch.clone()))
            .await
    }

    /// As [`Self::update_connection`] with a patch that is made from the connection as it is: made
    /// again when somebody else changes it meanwhile, so that no change is lost.
    ///
    /// # Errors
    /// [`Error::ConnectionNotFound`], [`Error::ConnectionNameTaken`], [`Error::Invalid`], those of
    /// `change`.
    pub async fn change_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        id: ConnectionId,
        change: impl Fn(&Connection) -> Result<ConnectionPatch> + Send + Sync,
    ) -> Result<Connection> {
        self.edit_connection(env, actor, id, "connection.updated", |connection, _| {
            // The app of the installation is nothing that a change could keep.
            *connection = connection.without_platform_app();
            let patch = change(connection)?;
            if let Some(name) = patch.key_id {
                connection.key_id = checked_name(name)?;
            }
            if let Some(settings) = patch.settings {
                super::check_settings(&settings)?;
                connection.settings = settings;
            }
            connection.secrets.put(patch.secrets);
            self.check_platform_app(connection)?;
            self.lend_platform_app(connection);
            Ok(())
        })
        .await
    }

    /// Switches a connection on (AK-104).
    ///
    /// # Errors
    /// [`Error::ConnectionIncomplete`] when a setting is missing.
    pub async fn enable_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        id: ConnectionId,
    ) -> Result<Connection> {
        let action = "connection.enabled";
        self.edit_connection(env, actor, id, action, |connection, provider| {
            if let Some(missing) = connection.missing(provider) {
                return Err(Error::ConnectionIncomplete {
                    name: connection.key_id.clone(),
                    missing,
                });
            }
            connection.settings.switched_off = false;
            Ok(())
        })
        .await
    }

    /// Switches a connection off; data and tokens are kept (AK-121).
    pub async fn disable_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        id: ConnectionId,
    ) -> Result<Connection> {
        self.edit_connection(env, actor, id, "connection.disabled", |connection, _| {
            connection.settings.switched_off = true;
            Ok(())
        })
        .await
    }

    /// Reads, edits and writes a connection, again when it was changed in between.
    async fn edit_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        id: ConnectionId,
        action: &'static str,
        edit: impl Fn(&mut Connection, &Provider) -> Result<()> + Send + Sync,
    ) -> Result<Connection> {
        for _ in 0..MAX_TRIES {
            let mut connection = self.connection(env, id).await?;
            let provider = self.provider(env, &connection.provider_key).await?;
            let name = connection.key_id.clone();
            edit(&mut connection, &provider)?;
            if connection.key_id != name {
                self.require_unused(env, id).await?;
            }
            complete(&mut connection, &provider);
            match self.save_connection(env, actor, connection, action).await {
                Err(Error::Conflict) => {}
                done => return done,
            }
        }
        Err(Error::Conflict)
    }

    /// Code that uses the accounts knows the connection by its name (AK-101).
    async fn require_unused(&self, env: EnvironmentId, id: ConnectionId) -> Result<()> {
        let mut read = self.ctx().db.read(env);
        if connected_accounts::count_of_connection(&mut read, id).await? > 0 {
            return Err(Error::field(
                "key_id",
                "cannot change once accounts use the connection",
            ));
        }
        Ok(())
    }

    async fn save_connection(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        mut connection: Connection,
        action: &'static str,
    ) -> Result<Connection> {
        connection.updated_at = self.ctx().clock.now();
        let row = self.connection_row(env, &connection).await?;
        let mut tx = self.ctx().db.begin(env).await?;
        let saved = connections::update(&mut tx, &row)
            .await
            .map_err(|error| name_taken(error, &connection.key_id))?;
        if !saved {
            return Err(Error::Conflict);
        }
        record::audit(
            &mut tx,
            self.ctx(),
            actor,
            action,
            &connection.id.to_string(),
        )
        .await?;
        tx.commit().await?;
        self.forget_all(env);
        connection.revision += 1;
        Ok(connection)
    }
}
