//! gRPC services: convert, authorise, call a domain crate, convert back.
//!
//! [`routes`] gives all of them. They expect a [`keystead_authz::Caller`] in the extensions of each
//! request: the gateway puts it there after it has checked the credential, the permission and the
//! field rules of the contract, so no method checks those again.
//!
//! Methods that are not built yet answer `UNIMPLEMENTED`.

#![forbid(unsafe_code)]

mod agent_actions;
mod clients;
mod connected_account_extensions;
mod connected_accounts;
mod connection_extensions;
mod connections;
mod convert;
mod environment_extensions;
mod environments;
mod members;
mod organizations;
mod providers;
mod request;
pub mod status;
mod workspaces;

use keystead_agentkit::AgentKit;
use keystead_authz::Authorizer;
use keystead_identity::Context;
use keystead_proto::{extensions, v1};
use tonic::service::Routes;

/// What the services work with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Database, clock, keys.
    pub ctx: Context,
    /// Sessions and tokens.
    pub authorizer: Authorizer,
    /// Connectors, connections, connected accounts.
    pub agentkit: AgentKit,
}

/// All services.
pub fn routes(app: App) -> Routes {
    use extensions::{
        connected_account_extension_service_server::ConnectedAccountExtensionServiceServer,
        connection_extension_service_server::ConnectionExtensionServiceServer,
        environment_extension_service_server::EnvironmentExtensionServiceServer,
    };
    use v1::{
        clients::client_service_server::ClientServiceServer,
        connected_accounts::connected_account_service_server::ConnectedAccountServiceServer,
        connections::connection_service_server::ConnectionServiceServer,
        environments::environment_service_server::EnvironmentServiceServer,
        members::members_service_server::MembersServiceServer,
        organizations::organization_service_server::OrganizationServiceServer,
        providers::provider_service_server::ProviderServiceServer,
        workspaces::workspace_service_server::WorkspaceServiceServer,
    };
    Routes::default()
        .add_service(ClientServiceServer::new(clients::Clients(app.clone())))
        .add_service(ConnectedAccountServiceServer::new(
            connected_accounts::ConnectedAccounts(app.clone()),
        ))
        .add_service(ConnectedAccountExtensionServiceServer::new(
            connected_account_extensions::ConnectedAccountExtensions(app.clone()),
        ))
        .add_service(ConnectionExtensionServiceServer::new(
            connection_extensions::ConnectionExtensions(app.clone()),
        ))
        .add_service(ConnectionServiceServer::new(connections::Connections(
            app.clone(),
        )))
        .add_service(EnvironmentExtensionServiceServer::new(
            environment_extensions::EnvironmentExtensions(app.clone()),
        ))
        .add_service(EnvironmentServiceServer::new(environments::Environments(
            app.clone(),
        )))
        .add_service(MembersServiceServer::new(members::Members(app.clone())))
        .add_service(OrganizationServiceServer::new(
            organizations::Organizations(app.clone()),
        ))
        .add_service(ProviderServiceServer::new(providers::Providers(
            app.clone(),
        )))
        .add_service(WorkspaceServiceServer::new(workspaces::Workspaces(app)))
}
