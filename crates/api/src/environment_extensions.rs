//! `EnvironmentExtensionService`: what the contract of the client libraries does not have.

use crate::{
    App,
    environments::environment_id,
    request::{Reply, open, required},
    status::failed,
};
use keystead_agentkit::settings::Settings;
use keystead_authz::Caller;
use keystead_identity::environments::{self, EnvironmentKind};
use keystead_proto::extensions::{
    self as pb, environment_extension_service_server::EnvironmentExtensionService,
};
use keystead_types::EnvironmentId;
use tonic::{Request, Response, Status, async_trait};

pub(crate) struct EnvironmentExtensions(pub(crate) App);

fn shown(settings: &Settings) -> pb::AgentLinkSettings {
    pb::AgentLinkSettings {
        link_lifetime_seconds: u32::try_from(settings.link_lifetime().as_secs())
            .unwrap_or(u32::MAX),
        default_user_verify_url: settings.default_user_verify_url.clone(),
        allowed_user_verify_urls: settings.allowed_verify_urls.clone(),
    }
}

impl EnvironmentExtensions {
    /// An environment of the caller's workspace.
    async fn found(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<(EnvironmentId, EnvironmentKind), Status> {
        let id = environment_id(id)?;
        let found = environments::get(&self.0.ctx, caller.workspace(), id).await;
        Ok((id, found.map_err(failed)?.kind))
    }
}

#[async_trait]
impl EnvironmentExtensionService for EnvironmentExtensions {
    async fn get_agent_link_settings(
        &self,
        request: Request<pb::GetAgentLinkSettingsRequest>,
    ) -> Reply<pb::GetAgentLinkSettingsResponse> {
        let (caller, message) = open(request)?;
        let (id, _) = self.found(&caller, &message.id).await?;
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
        let sent = required(message.settings, "settings")?;
        let (id, kind) = self.found(&caller, &message.id).await?;
        let production = kind == EnvironmentKind::Production;
        let change = |settings: &mut Settings| {
            settings.link_seconds = sent.link_lifetime_seconds.into();
            settings.default_user_verify_url = sent.default_user_verify_url;
            settings.allowed_verify_urls = sent.allowed_user_verify_urls;
        };
        let (kit, actor) = (&self.0.agentkit, caller.actor());
        let updated = kit.update_settings(id, &actor, production, change).await;
        Ok(Response::new(pb::UpdateAgentLinkSettingsResponse {
            settings: Some(shown(&updated.map_err(failed)?)),
        }))
    }

    async fn get_agent_call_settings(
        &self,
        request: Request<pb::GetAgentCallSettingsRequest>,
    ) -> Reply<pb::GetAgentCallSettingsResponse> {
        let (caller, message) = open(request)?;
        let (id, _) = self.found(&caller, &message.id).await?;
        let stored = self.0.agentkit.settings(id).await.map_err(failed)?;
        Ok(Response::new(pb::GetAgentCallSettingsResponse {
            settings: Some(pb::AgentCallSettings {
                builtin_direct_calls: stored.builtin_direct_calls,
            }),
        }))
    }

    async fn update_agent_call_settings(
        &self,
        request: Request<pb::UpdateAgentCallSettingsRequest>,
    ) -> Reply<pb::UpdateAgentCallSettingsResponse> {
        let (caller, message) = open(request)?;
        let sent = required(message.settings, "settings")?;
        let (id, kind) = self.found(&caller, &message.id).await?;
        let (kit, actor) = (&self.0.agentkit, caller.actor());
        let change = |settings: &mut Settings| {
            settings.builtin_direct_calls = sent.builtin_direct_calls;
        };
        let production = kind == EnvironmentKind::Production;
        let updated = kit.update_settings(id, &actor, production, change).await;
        updated.map_err(failed)?;
        Ok(Response::new(pb::UpdateAgentCallSettingsResponse {
            settings: Some(sent),
        }))
    }
}
