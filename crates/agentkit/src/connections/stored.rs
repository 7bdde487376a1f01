//! How a connection is stored: its secrets are sealed, the app of the installation is left out.

use super::{AuthMode, Connection, ConnectionSecrets, ConnectionStatus};
use crate::{AgentKit, error::Result, providers::AuthKind};
use keystead_crypto::Place;
use keystead_store::entities::connections::ConnectionRow;
use keystead_types::{EnvironmentId, Internal};

impl AgentKit {
    pub(super) async fn connection_row(
        &self,
        env: EnvironmentId,
        connection: &Connection,
    ) -> Result<ConnectionRow> {
        let connection = &connection.without_platform_app();
        let secrets = if connection.secrets.is_empty() {
            None
        } else {
            let plain = keystead_types::Secret::new(
                serde_json::to_vec(&connection.secrets).map_err(Internal::new)?,
            );
            let row = connection.id.to_string();
            let keyring = self.ctx().keyring(env).await?;
            let sealed = keyring.seal(&*self.ctx().rng, &place(env, &row), plain.expose());
            Some(sealed.map_err(Internal::new)?)
        };
        Ok(ConnectionRow {
            id: connection.id,
            key_id: connection.key_id.clone(),
            provider_key: connection.provider_key.clone(),
            kind: connection.kind.as_str().to_owned(),
            status: connection.status.as_str().to_owned(),
            enabled: connection.enabled,
            auth_mode: connection.auth_mode.as_str().to_owned(),
            settings: serde_json::to_value(&connection.settings).map_err(Internal::new)?,
            secrets,
            revision: connection.revision,
            created_at: connection.created_at,
            updated_at: connection.updated_at,
        })
    }

    pub(crate) async fn open_connection(
        &self,
        env: EnvironmentId,
        row: ConnectionRow,
    ) -> Result<Connection> {
        let secrets = match &row.secrets {
            None => ConnectionSecrets::default(),
            Some(sealed) => {
                let id = row.id.to_string();
                let opened = self
                    .ctx()
                    .keyring(env)
                    .await?
                    .open(&place(env, &id), sealed)
                    .map_err(Internal::new)?;
                serde_json::from_slice(opened.expose()).map_err(Internal::new)?
            }
        };
        let unknown =
            |what: &str| Internal::new(format!("connection {} has an unknown {what}", row.id));
        let mut connection = Connection {
            id: row.id,
            kind: AuthKind::parse(&row.kind).ok_or_else(|| unknown("kind"))?,
            status: ConnectionStatus::parse(&row.status).ok_or_else(|| unknown("status"))?,
            auth_mode: AuthMode::parse(&row.auth_mode).ok_or_else(|| unknown("auth mode"))?,
            settings: serde_json::from_value(row.settings).map_err(Internal::new)?,
            key_id: row.key_id,
            provider_key: row.provider_key,
            enabled: row.enabled,
            secrets,
            revision: row.revision,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        self.lend_platform_app(&mut connection);
        Ok(connection)
    }
}

fn place(env: EnvironmentId, row: &str) -> Place<'_> {
    Place {
        environment: env,
        table: "connections",
        column: "secrets",
        row,
    }
}
