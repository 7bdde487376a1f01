//! Small services of the contract behind the dashboard, kept in memory: just enough to see that
//! pages call the right method with the right values. They check the member's session and the
//! environment that every call must carry, and count the calls that write.

mod account_extensions;
mod accounts;
mod clients;
mod connection_extensions;
mod connections;
mod environment_extensions;
mod environments;
mod providers;

use keystead_proto::{
    ExplicitFields,
    extensions::{
        AgentCallSettings, AgentLinkSettings, ConnectedAccountHistoryEntry,
        GetConnectionHealthResponse,
        connected_account_extension_service_server::ConnectedAccountExtensionServiceServer,
        connection_extension_service_server::ConnectionExtensionServiceServer,
        environment_extension_service_server::EnvironmentExtensionServiceServer,
    },
    v1::{
        clients::{Client, client_service_server::ClientServiceServer},
        connected_accounts::{
            ConnectedAccount, connected_account_service_server::ConnectedAccountServiceServer,
        },
        connections::{Connection, connection_service_server::ConnectionServiceServer},
        environments::{
            AgentActionsConfig, Environment, environment_service_server::EnvironmentServiceServer,
        },
        errdetails::{
            ErrorInfo, ResourceInfo, ValidationErrorInfo, validation_error_info::FieldViolation,
        },
        providers::{Provider, provider_service_server::ProviderServiceServer},
    },
};
use keystead_web::dashboard::Services;
use prost::Message;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tonic::{Code, Request, Status, service::Routes};
use tower::{ServiceExt, util::BoxCloneSyncService};

/// The session of the test's member.
pub(crate) const SESSION: &str = "session-1";

/// What the services hold; the same for every environment but for the providers.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) environments: Mutex<Vec<Environment>>,
    pub(crate) providers: Mutex<Vec<(String, Provider)>>,
    pub(crate) connections: Mutex<Vec<Connection>>,
    pub(crate) accounts: Mutex<Vec<ConnectedAccount>>,
    pub(crate) history: Mutex<Vec<(String, ConnectedAccountHistoryEntry)>>,
    /// Account and scope.
    pub(crate) missing_scopes: Mutex<Vec<(String, String)>>,
    /// Of every connection, but for the accounts.
    pub(crate) health: Mutex<GetConnectionHealthResponse>,
    pub(crate) clients: Mutex<Vec<Client>>,
    pub(crate) verification: Mutex<Option<AgentActionsConfig>>,
    pub(crate) links: Mutex<Option<AgentLinkSettings>>,
    pub(crate) calls: Mutex<Option<AgentCallSettings>>,
    /// Connectors with an OAuth app of the installation.
    pub(crate) platform_apps: Mutex<Vec<String>>,
    pub(crate) writes: AtomicUsize,
    /// When set, the next call that writes is refused with it.
    pub(crate) refuse: Mutex<Option<Status>>,
}

#[derive(Clone)]
struct Handler(Arc<World>);

impl World {
    pub(crate) fn services(self: &Arc<Self>) -> Services {
        let handler = Handler(self.clone());
        let routes = Routes::new(EnvironmentServiceServer::new(handler.clone()))
            .add_service(ProviderServiceServer::new(handler.clone()))
            .add_service(ConnectionServiceServer::new(handler.clone()))
            .add_service(ConnectedAccountServiceServer::new(handler.clone()))
            .add_service(ConnectedAccountExtensionServiceServer::new(handler.clone()))
            .add_service(EnvironmentExtensionServiceServer::new(handler.clone()))
            .add_service(ConnectionExtensionServiceServer::new(handler.clone()))
            .add_service(ClientServiceServer::new(handler));
        let never = |never: std::convert::Infallible| match never {};
        BoxCloneSyncService::new(ServiceExt::<http::Request<tonic::body::Body>>::map_err(
            routes, never,
        ))
    }

    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }
}

impl Handler {
    /// The environment of a call that only reads.
    fn read<T>(&self, request: &Request<T>) -> Result<String, Status> {
        let metadata = |name| {
            request
                .metadata()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        if metadata("cookie") != format!("__Host-keystead_session={SESSION}") {
            return Err(Status::unauthenticated("no session"));
        }
        let domain = metadata("x-env-domain").to_owned();
        let known = self.0.environments.lock().unwrap();
        if !domain.is_empty() && !known.iter().any(|environment| environment.domain == domain) {
            return Err(Status::not_found("environment not found"));
        }
        Ok(domain)
    }

    /// The environment of a call that writes.
    fn write<T>(&self, request: &Request<T>) -> Result<String, Status> {
        let environment = self.read(request)?;
        if let Some(status) = self.0.refuse.lock().unwrap().take() {
            return Err(status);
        }
        self.0.writes.fetch_add(1, Ordering::SeqCst);
        Ok(environment)
    }

    fn in_environment<T>(&self, request: &Request<T>) -> Result<String, Status> {
        let environment = self.read(request)?;
        if environment.is_empty() {
            Err(Status::invalid_argument("no environment"))
        } else {
            Ok(environment)
        }
    }
}

/// Whether the caller wrote the field down, as the server asks before it takes an empty value.
fn written<T>(request: &Request<T>, path: &str) -> bool {
    let fields = request.extensions().get::<ExplicitFields>();
    fields.is_some_and(|fields| fields.names(path))
}

/// A status as the server makes them: with one packed `ErrorInfo`.
pub(crate) fn refusal(code: Code, message: &str, info: &ErrorInfo) -> Status {
    #[derive(Clone, PartialEq, Message)]
    struct RichStatus {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
        #[prost(message, repeated, tag = "3")]
        details: Vec<prost_types::Any>,
    }
    let packed = prost_types::Any {
        type_url: "type.googleapis.com/scalekit.v1.errdetails.ErrorInfo".to_owned(),
        value: info.encode_to_vec(),
    };
    let rich = RichStatus {
        code: code.into(),
        message: message.to_owned(),
        details: vec![packed],
    };
    Status::with_details(code, message, rich.encode_to_vec().into())
}

pub(crate) fn wrong_field(field: &str, description: &str) -> Status {
    let violation = FieldViolation {
        field: field.to_owned(),
        description: description.to_owned(),
        constraint: String::new(),
    };
    let info = ErrorInfo {
        validation_error_info: Some(ValidationErrorInfo {
            field_violations: vec![violation],
        }),
        ..ErrorInfo::default()
    };
    refusal(Code::InvalidArgument, "invalid request", &info)
}

pub(crate) fn lacks(permission: &str) -> Status {
    let info = ErrorInfo {
        resource_info: Some(ResourceInfo {
            required_permissions: vec![permission.to_owned()],
            ..ResourceInfo::default()
        }),
        ..ErrorInfo::default()
    };
    refusal(Code::PermissionDenied, "permission denied", &info)
}
