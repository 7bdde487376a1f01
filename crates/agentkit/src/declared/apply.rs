//! Making what a declaration says.

use super::{
    Change, Declaration, DeclaredConnection, DeclaredConnector, Plan, Undeclared,
    plan::{patched, provider_key},
};
use crate::{
    AgentKit, Error,
    connections::{AuthMode, NewConnection},
    error::Result,
    providers::{CustomProviderInput, CustomProviderPatch},
};
use keystead_identity::Actor;
use keystead_types::{EnvironmentId, Secret};
use std::collections::BTreeMap;

impl AgentKit {
    /// Makes what is declared, and gives the changes that were made. Each change is a transaction of
    /// its own; after a failure the rest can be made by doing it again.
    ///
    /// # Errors
    /// Those of [`Self::plan`] and of the changes.
    pub async fn apply(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        declared: &Declaration<Secret<String>>,
        undeclared: Undeclared,
    ) -> Result<Plan> {
        let plan = self.plan(env, declared, undeclared).await?;
        for change in &plan.changes {
            self.make(env, actor, change).await?;
        }
        Ok(plan)
    }

    async fn make(&self, env: EnvironmentId, actor: &Actor, change: &Change) -> Result<()> {
        match change {
            Change::CreateConnector(declared) => {
                let input = CustomProviderInput {
                    display_name: declared.name.clone(),
                    description: declared.description.clone().unwrap_or_default(),
                    auth_patterns: declared.auth_patterns.clone(),
                    proxy_url: declared.proxy_url.clone(),
                    proxy_enabled: declared.proxy_enabled.unwrap_or(true),
                    icon_src: String::new(),
                    metadata: BTreeMap::new(),
                };
                self.create_custom_provider(env, actor, input).await?;
            }
            Change::UpdateConnector {
                identifier,
                declared,
                ..
            } => {
                self.update_custom_provider(env, actor, identifier, patch_of(declared))
                    .await?;
            }
            Change::CreateConnection(declared) => {
                self.create_declared(env, actor, declared).await?;
            }
            Change::UpdateConnection {
                connection,
                declared,
                ..
            } => {
                // Made from the connection as it is then, so that no change of others is lost.
                self.change_connection(env, actor, connection.id, |now| Ok(patched(now, declared)))
                    .await?;
            }
            Change::DeleteConnection(connection) => {
                self.delete_connection(env, actor, connection.id).await?;
            }
            Change::DeleteConnector(provider) => {
                self.delete_custom_provider(env, actor, &provider.identifier)
                    .await?;
            }
        }
        Ok(())
    }

    async fn create_declared(
        &self,
        env: EnvironmentId,
        actor: &Actor,
        declared: &DeclaredConnection<Secret<String>>,
    ) -> Result<()> {
        let own = self.own_providers(env).await?;
        let key = provider_key(self, &declared.connector, &own);
        let new = NewConnection {
            provider_key: key.ok_or_else(|| Error::ProviderNotFound(declared.connector.clone()))?,
            kind: declared.kind,
            key_id: Some(declared.name.clone()),
            context: declared.context.clone().unwrap_or_default(),
            auth_mode: declared.auth_mode.unwrap_or(AuthMode::User),
        };
        let made = self.create_connection(env, actor, new).await?;
        self.change_connection(env, actor, made.id, |now| Ok(patched(now, declared)))
            .await?;
        Ok(())
    }
}

fn patch_of(declared: &DeclaredConnector) -> CustomProviderPatch {
    CustomProviderPatch {
        display_name: declared.name.clone(),
        description: declared.description.clone(),
        auth_patterns: Some(declared.auth_patterns.clone()),
        proxy_url: declared.proxy_url.clone(),
        proxy_enabled: declared.proxy_enabled,
        icon_src: None,
        metadata: None,
    }
}
