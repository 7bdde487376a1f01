//! `EnvironmentExtensionService`: what the contract of the client libraries does not have.

use crate::{
    App,
    environments::environment_id,
    request::{Reply, open, required},
    status::failed,
};
use keystead_agentkit::settings::Settings;
use keystead_identity::environments::{self, EnvironmentKind};
use keystead_proto::extensions::{
    self as pb, environment_extension_service_server::EnvironmentExtensionService,
};
use tonic::{Request, Response, async_trait};

pub(crate) struct EnvironmentExtensions(pub(crate) App);

fn shown(settings: &Settings) -> pb::AgentLinkSettings {
    pb::AgentLinkSettings {
        link_lifetime_seconds: u32::try_from(settings.link_lifetime().as_secs())
            .unwrap_or(u32::MAX),
        default_user_verify_url: settings.default_user_verify_url.clone(),
        allowed_user_verify_urls: settings.allowed_verify_urls.clone(),
    }
}

#[async_trait]
impl EnvironmentExtensionService for EnvironmentExtensions {
    async fn get_agent_link_settings(
        &self,
        request: Request<pb::GetAgentLinkSettingsRequest>,
    ) -> Reply<pb::GetAgentLinkSettingsResponse> {
        let (caller, message) = open(request)?;
        let id = environment_id(&message.id)?;
        let found = environments::get(&self.0.ctx, caller.workspace(), id).await;
        found.map_err(failed)?;
        let settings = self.0.agentkit.settings(id).await.map_err(failed)?;
        Ok(Response::new(pb::GetAgentLinkSettingsResponse {
            settings: Some(shown(&settings)),
        }))
    }

    async fn update_agent_link_settings(
        &self,
        request: Request<pb::UpdateAgentLinkSettingsRequest>,
    ) -> Reply<pb::UpdateAgentLinkSettingsResponse> {
        let (caller, message) = open(request)?;
        let id = environment_id(&message.id)?;
        let sent = required(message.settings, "settings")?;
        let found = environments::get(&self.0.ctx, caller.workspace(), id).await;
        let production = found.map_err(failed)?.kind == EnvironmentKind::Production;
        let stored = self.0.agentkit.settings(id).await.map_err(failed)?;
        let settings = Settings {
            link_seconds: sent.link_lifetime_seconds.into(),
            default_user_verify_url: sent.default_user_verify_url,
            allowed_verify_urls: sent.allowed_user_verify_urls,
            ..stored
        };
        self.0
            .agentkit
            .update_settings(id, &caller.actor(), production, &settings)
            .await
            .map_err(failed)?;
        Ok(Response::new(pb::UpdateAgentLinkSettingsResponse {
            settings: Some(shown(&settings)),
        }))
    }
}
