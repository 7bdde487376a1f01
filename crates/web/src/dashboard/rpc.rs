//! The dashboard's way to the services: the generated clients, over a service in the same process.

use http::{HeaderName, HeaderValue, Request, Response, header};
use keystead_proto::{
    ExplicitFields,
    extensions::{
        connected_account_extension_service_client::ConnectedAccountExtensionServiceClient,
        connection_extension_service_client::ConnectionExtensionServiceClient,
        environment_extension_service_client::EnvironmentExtensionServiceClient,
    },
};
use keystead_types::Secret;
use std::task::{Context, Poll};
use tonic::body::Body;
use tower::{BoxError, Service, util::BoxCloneSyncService};

/// The services of the contract, as one gRPC service.
pub type Services = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

const ENVIRONMENT: HeaderName = HeaderName::from_static("x-env-domain");

/// The services, called as one member in one environment.
///
/// It is the only thing the generated clients are built over, so no call can lack the member's
/// session or reach an environment other than the page's.
#[derive(Clone)]
pub(crate) struct InProcess {
    services: Services,
    cookie: Option<HeaderValue>,
    host: Option<HeaderValue>,
    environment: Option<HeaderValue>,
}

impl InProcess {
    /// As the member who holds `session`, outside of any environment.
    pub(crate) fn new(
        services: Services,
        session: &Secret<String>,
        host: Option<HeaderValue>,
    ) -> Self {
        let line = format!("{}={}", crate::cookies::SESSION.name, session.expose());
        let mut cookie = HeaderValue::from_str(&line).ok();
        if let Some(cookie) = &mut cookie {
            cookie.set_sensitive(true);
        }
        Self {
            services,
            cookie,
            host,
            environment: None,
        }
    }

    /// The same in the environment with this domain.
    pub(crate) fn in_environment(&self, domain: &str) -> Self {
        Self {
            environment: HeaderValue::from_str(domain).ok(),
            ..self.clone()
        }
    }
}

impl Service<Request<Body>> for InProcess {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = <Services as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.services.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let headers = [
            (header::COOKIE, &self.cookie),
            (header::HOST, &self.host),
            (ENVIRONMENT, &self.environment),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                request.headers_mut().insert(name, value.clone());
            }
        }
        self.services.call(request)
    }
}

/// A request made from a form that shows the fields at `paths`: what the member left empty or
/// switched off there is meant, and not merely left out (AK-019).
pub(crate) fn from_form<T>(message: T, paths: &[&str]) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let fields = ExplicitFields::new(paths.iter().copied());
    request.extensions_mut().insert(fields);
    request
}

macro_rules! clients {
    ($($name:ident: $package:ident::$module:ident::$client:ident;)*) => {
        impl InProcess {
            $(pub(crate) fn $name(&self) -> keystead_proto::v1::$package::$module::$client<Self> {
                keystead_proto::v1::$package::$module::$client::new(self.clone())
            })*
        }
    };
}

impl InProcess {
    /// Ours beyond the wire of the official clients.
    pub(crate) fn account_extensions(&self) -> ConnectedAccountExtensionServiceClient<Self> {
        ConnectedAccountExtensionServiceClient::new(self.clone())
    }

    /// Ours beyond the wire of the official clients.
    pub(crate) fn environment_extensions(&self) -> EnvironmentExtensionServiceClient<Self> {
        EnvironmentExtensionServiceClient::new(self.clone())
    }

    /// Ours beyond the wire of the official clients.
    pub(crate) fn connection_extensions(&self) -> ConnectionExtensionServiceClient<Self> {
        ConnectionExtensionServiceClient::new(self.clone())
    }
}

clients! {
    accounts: connected_accounts::connected_account_service_client::ConnectedAccountServiceClient;
    api_clients: clients::client_service_client::ClientServiceClient;
    connections: connections::connection_service_client::ConnectionServiceClient;
    environments: environments::environment_service_client::EnvironmentServiceClient;
    providers: providers::provider_service_client::ProviderServiceClient;
}
