use super::Handler;
use keystead_proto::v1::environments::{
    CreateAgentActionsConfigRequest, CreateAgentActionsConfigResponse, CreateEnvironmentRequest,
    CreateEnvironmentResponse, Environment, GetAgentActionsConfigRequest,
    GetAgentActionsConfigResponse, ListEnvironmentsRequest, ListEnvironmentsResponse,
    UpdateAgentActionsConfigRequest, UpdateAgentActionsConfigResponse,
    environment_service_server::EnvironmentService,
};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl EnvironmentService for Handler {
    async fn list_environment(
        &self,
        request: Request<ListEnvironmentsRequest>,
    ) -> Result<Response<ListEnvironmentsResponse>, Status> {
        self.read(&request)?;
        let environments = self.0.environments.lock().unwrap().clone();
        Ok(Response::new(ListEnvironmentsResponse {
            environments,
            ..Default::default()
        }))
    }

    async fn create_environment(
        &self,
        request: Request<CreateEnvironmentRequest>,
    ) -> Result<Response<CreateEnvironmentResponse>, Status> {
        self.write(&request)?;
        let new = request.into_inner().environment.unwrap();
        let environment = Environment {
            id: "env_3".to_owned(),
            domain: "env3.test".to_owned(),
            display_name: new.display_name,
            r#type: new.r#type.unwrap_or_default(),
            ..Default::default()
        };
        self.0
            .environments
            .lock()
            .unwrap()
            .push(environment.clone());
        Ok(Response::new(CreateEnvironmentResponse {
            environment: Some(environment),
        }))
    }

    async fn get_agent_actions_config(
        &self,
        request: Request<GetAgentActionsConfigRequest>,
    ) -> Result<Response<GetAgentActionsConfigResponse>, Status> {
        self.in_environment(&request)?;
        match *self.0.verification.lock().unwrap() {
            None => Err(Status::not_found("no settings")),
            config => Ok(Response::new(GetAgentActionsConfigResponse {
                agent_actions_config: config,
            })),
        }
    }

    async fn create_agent_actions_config(
        &self,
        request: Request<CreateAgentActionsConfigRequest>,
    ) -> Result<Response<CreateAgentActionsConfigResponse>, Status> {
        self.write(&request)?;
        let config = request.into_inner().agent_actions_config;
        *self.0.verification.lock().unwrap() = config;
        Ok(Response::new(CreateAgentActionsConfigResponse {
            agent_actions_config: config,
        }))
    }

    async fn update_agent_actions_config(
        &self,
        request: Request<UpdateAgentActionsConfigRequest>,
    ) -> Result<Response<UpdateAgentActionsConfigResponse>, Status> {
        self.write(&request)?;
        let config = request.into_inner().agent_actions_config;
        *self.0.verification.lock().unwrap() = config;
        Ok(Response::new(UpdateAgentActionsConfigResponse {
            agent_actions_config: config,
        }))
    }
}
