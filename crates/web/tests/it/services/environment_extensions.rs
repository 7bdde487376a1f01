use super::Handler;
use keystead_proto::extensions::{
    AgentLinkSettings, GetAgentLinkSettingsRequest, GetAgentLinkSettingsResponse,
    UpdateAgentLinkSettingsRequest, UpdateAgentLinkSettingsResponse,
    environment_extension_service_server::EnvironmentExtensionService,
};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl EnvironmentExtensionService for Handler {
    async fn get_agent_link_settings(
        &self,
        request: Request<GetAgentLinkSettingsRequest>,
    ) -> Result<Response<GetAgentLinkSettingsResponse>, Status> {
        self.in_environment(&request)?;
        let stored = self.0.links.lock().unwrap().clone();
        let settings = stored.unwrap_or(AgentLinkSettings {
            link_lifetime_seconds: 3600,
            ..AgentLinkSettings::default()
        });
        Ok(Response::new(GetAgentLinkSettingsResponse {
            settings: Some(settings),
        }))
    }

    async fn update_agent_link_settings(
        &self,
        request: Request<UpdateAgentLinkSettingsRequest>,
    ) -> Result<Response<UpdateAgentLinkSettingsResponse>, Status> {
        self.write(&request)?;
        let settings = request.into_inner().settings;
        self.0.links.lock().unwrap().clone_from(&settings);
        Ok(Response::new(UpdateAgentLinkSettingsResponse { settings }))
    }
}
