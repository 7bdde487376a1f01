use super::Handler;
use keystead_proto::extensions::{
    AgentCallSettings, AgentLinkSettings, GetAgentCallSettingsRequest,
    GetAgentCallSettingsResponse, GetAgentLinkSettingsRequest, GetAgentLinkSettingsResponse,
    UpdateAgentCallSettingsRequest, UpdateAgentCallSettingsResponse,
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

    async fn get_agent_call_settings(
        &self,
        request: Request<GetAgentCallSettingsRequest>,
    ) -> Result<Response<GetAgentCallSettingsResponse>, Status> {
        self.in_environment(&request)?;
        let stored = *self.0.calls.lock().unwrap();
        let settings = stored.unwrap_or(AgentCallSettings {
            builtin_direct_calls: true,
        });
        Ok(Response::new(GetAgentCallSettingsResponse {
            settings: Some(settings),
        }))
    }

    async fn update_agent_call_settings(
        &self,
        request: Request<UpdateAgentCallSettingsRequest>,
    ) -> Result<Response<UpdateAgentCallSettingsResponse>, Status> {
        self.write(&request)?;
        let settings = request.into_inner().settings;
        *self.0.calls.lock().unwrap() = settings;
        Ok(Response::new(UpdateAgentCallSettingsResponse { settings }))
    }
}
