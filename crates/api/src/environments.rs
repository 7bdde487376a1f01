//! `EnvironmentService`: the environments of a workspace. Their settings are not built yet.

use crate::{
    App, agent_actions,
    convert::environments as convert,
    request::{Reply, open, page, required},
    status::failed,
};
use keystead_identity::environments::{self as domain, Environment, Error};
use keystead_proto::v1::environments::{
    self as pb, environment_service_server::EnvironmentService,
};
use keystead_types::EnvironmentId;
use tonic::{Request, Response, Status, async_trait};

pub(crate) struct Environments(pub(crate) App);

/// An id that cannot be one of ours is the id of nothing.
pub(crate) fn environment_id(id: &str) -> Result<EnvironmentId, Status> {
    id.parse().map_err(|_| failed(Error::NotFound))
}

impl Environments {
    /// An environment on the wire. Its domain is where it is really reached: the installation's own
    /// address for the default environment, and with the port where there is one.
    async fn shown(&self, environment: Environment) -> Result<pb::Environment, Status> {
        let site = self.0.ctx.site(environment.id).await;
        let site = site.map_err(|error| failed(Error::from(error)))?;
        let mut shown = convert::environment(environment);
        if let Some((_, authority)) = site
            .as_ref()
            .and_then(|site| site.base_url.split_once("://"))
        {
            authority.clone_into(&mut shown.domain);
        }
        Ok(shown)
    }
}

#[async_trait]
impl EnvironmentService for Environments {
    async fn create_environment(
        &self,
        request: Request<pb::CreateEnvironmentRequest>,
    ) -> Reply<pb::CreateEnvironmentResponse> {
        let (caller, message) = open(request)?;
        let command = convert::create(required(message.environment, "environment")?);
        let created =
            domain::create(&self.0.ctx, caller.workspace(), &caller.actor(), command).await;
        let created = created.map_err(failed)?;
        let kit = &self.0.agentkit;
        // The environment is there; what it begins with can be made by hand.
        if let Err(error) = kit.prepare_environment(created.id, &caller.actor()).await {
            tracing::warn!(environment = %created.id, %error, "the first connection could not be made");
        }
        let environment = Some(self.shown(created).await?);
        Ok(Response::new(pb::CreateEnvironmentResponse { environment }))
    }

    async fn update_environment(
        &self,
        request: Request<pb::UpdateEnvironmentRequest>,
    ) -> Reply<pb::UpdateEnvironmentResponse> {
        let (caller, message) = open(request)?;
        let id = environment_id(&message.id)?;
        let name = required(message.environment, "environment")?.display_name;
        let renamed =
            domain::rename(&self.0.ctx, caller.workspace(), id, &caller.actor(), name).await;
        let environment = Some(self.shown(renamed.map_err(failed)?).await?);
        Ok(Response::new(pb::UpdateEnvironmentResponse { environment }))
    }

    async fn update_environment_domain(
        &self,
        request: Request<pb::UpdateEnvironmentDomainRequest>,
    ) -> Reply<pb::UpdateEnvironmentResponse> {
        let (caller, message) = open(request)?;
        let id = environment_id(&message.id)?;
        let host = required(
            required(message.environment, "environment")?.domain,
            "environment.domain",
        )?;
        let moved =
            domain::update_domain(&self.0.ctx, caller.workspace(), id, &caller.actor(), &host)
                .await;
        let environment = Some(self.shown(moved.map_err(failed)?).await?);
        Ok(Response::new(pb::UpdateEnvironmentResponse { environment }))
    }

    async fn get_environment(
        &self,
        request: Request<pb::GetEnvironmentRequest>,
    ) -> Reply<pb::GetEnvironmentResponse> {
        let (caller, message) = open(request)?;
        let id = environment_id(&message.id)?;
        let found = domain::get(&self.0.ctx, caller.workspace(), id)
            .await
            .map_err(failed)?;
        let environment = Some(self.shown(found).await?);
        Ok(Response::new(pb::GetEnvironmentResponse { environment }))
    }

    async fn list_environment(
        &self,
        request: Request<pb::ListEnvironmentsRequest>,
    ) -> Reply<pb::ListEnvironmentsResponse> {
        let (caller, message) = open(request)?;
        let asked = page(message.page_size, message.page_token);
        let listed = domain::list(&self.0.ctx, caller.workspace(), &asked)
            .await
            .map_err(failed)?;
        let mut environments = Vec::with_capacity(listed.items.len());
        for environment in listed.items {
            environments.push(self.shown(environment).await?);
        }
        Ok(Response::new(pb::ListEnvironmentsResponse {
            next_page_token: listed.next_page_token,
            total_size: crate::convert::total(listed.total_size),
            environments,
        }))
    }

    async fn get_agent_actions_config(
        &self,
        request: Request<pb::GetAgentActionsConfigRequest>,
    ) -> Reply<pb::GetAgentActionsConfigResponse> {
        let (caller, message) = open(request)?;
        agent_actions::get(&self.0, &caller, environment_id(&message.id)?).await
    }

    async fn create_agent_actions_config(
        &self,
        request: Request<pb::CreateAgentActionsConfigRequest>,
    ) -> Reply<pb::CreateAgentActionsConfigResponse> {
        let (caller, message) = open(request)?;
        let id = environment_id(&message.id)?;
        let config =
            agent_actions::update(&self.0, &caller, id, message.agent_actions_config).await?;
        Ok(Response::new(pb::CreateAgentActionsConfigResponse {
            agent_actions_config: Some(config),
        }))
    }

    async fn update_agent_actions_config(
        &self,
        request: Request<pb::UpdateAgentActionsConfigRequest>,
    ) -> Reply<pb::UpdateAgentActionsConfigResponse> {
        let (caller, message) = open(request)?;
        let id = environment_id(&message.id)?;
        let config =
            agent_actions::update(&self.0, &caller, id, message.agent_actions_config).await?;
        Ok(Response::new(pb::UpdateAgentActionsConfigResponse {
            agent_actions_config: Some(config),
        }))
    }

    // The contract names no caller kind for this method; only members may delete (DB section 4).
    async fn delete_environment(
        &self,
        request: Request<pb::DeleteEnvironmentRequest>,
    ) -> Reply<()> {
        let (caller, message) = open(request)?;
        caller.require_member().map_err(failed)?;
        caller.require(&["environments:write"]).map_err(failed)?;
        let id = environment_id(&message.id)?;
        domain::delete(&self.0.ctx, caller.workspace(), id, &caller.actor())
            .await
            .map_err(failed)?;
        Ok(Response::new(()))
    }
}
