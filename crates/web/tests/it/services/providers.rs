use super::{Handler, written};
use keystead_proto::v1::providers::{
    CreateCustomProviderRequest, CreateProviderResponse, DeleteProviderRequest,
    DeleteProviderResponse, ListProvidersRequest, ListProvidersResponse, Provider,
    UpdateCustomProviderRequest, UpdateProviderResponse, provider_service_server::ProviderService,
};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl ProviderService for Handler {
    async fn list_providers(
        &self,
        request: Request<ListProvidersRequest>,
    ) -> Result<Response<ListProvidersResponse>, Status> {
        let environment = self.in_environment(&request)?;
        let wanted = request.into_inner().identifier;
        let known = self.0.providers.lock().unwrap();
        let here = known.iter().filter(|(place, provider)| {
            (place.is_empty() || *place == environment)
                && (wanted.is_empty() || provider.identifier == wanted)
        });
        let providers = here.map(|(_, provider)| provider.clone()).collect();
        Ok(Response::new(ListProvidersResponse {
            providers,
            ..Default::default()
        }))
    }

    async fn create_custom_provider(
        &self,
        request: Request<CreateCustomProviderRequest>,
    ) -> Result<Response<CreateProviderResponse>, Status> {
        let environment = self.write(&request)?;
        let left_open = !written(&request, "provider.proxy_enabled");
        let new = request.into_inner().provider.unwrap();
        let provider = Provider {
            identifier: format!("{}:7", new.display_name.replace(' ', "").to_uppercase()),
            display_name: new.display_name,
            description: new.description,
            auth_patterns: new.auth_patterns,
            proxy_url: new.proxy_url,
            proxy_enabled: new.proxy_enabled || left_open,
            icon_src: new.icon_src,
            metadata: new.metadata,
            is_custom: true,
            ..Default::default()
        };
        self.0
            .providers
            .lock()
            .unwrap()
            .push((environment, provider.clone()));
        Ok(Response::new(CreateProviderResponse {
            provider: Some(provider),
        }))
    }

    async fn update_custom_provider(
        &self,
        request: Request<UpdateCustomProviderRequest>,
    ) -> Result<Response<UpdateProviderResponse>, Status> {
        let environment = self.write(&request)?;
        let written = |name: &str| written(&request, &format!("provider.{name}"));
        let (about, proxy, icon, metadata) = (
            written("description"),
            written("proxy_enabled"),
            written("icon_src"),
            written("metadata"),
        );
        let request = request.into_inner();
        let new = request.provider.unwrap();
        let mut known = self.0.providers.lock().unwrap();
        let (_, provider) = known
            .iter_mut()
            .find(|(place, provider)| {
                *place == environment && provider.identifier == request.identifier
            })
            .ok_or_else(|| Status::not_found("connector not found"))?;
        provider.display_name = new.display_name;
        if about || !new.description.is_empty() {
            provider.description = new.description;
        }
        if proxy || new.proxy_enabled {
            provider.proxy_enabled = new.proxy_enabled;
        }
        if icon || !new.icon_src.is_empty() {
            provider.icon_src = new.icon_src;
        }
        if metadata || !new.metadata.is_empty() {
            provider.metadata = new.metadata;
        }
        provider.proxy_url = new.proxy_url;
        provider.auth_patterns = new.auth_patterns;
        Ok(Response::new(UpdateProviderResponse {
            provider: Some(provider.clone()),
        }))
    }

    async fn delete_custom_provider(
        &self,
        request: Request<DeleteProviderRequest>,
    ) -> Result<Response<DeleteProviderResponse>, Status> {
        self.write(&request)?;
        let identifier = request.into_inner().identifier;
        self.0
            .providers
            .lock()
            .unwrap()
            .retain(|(_, provider)| provider.identifier != identifier);
        Ok(Response::new(DeleteProviderResponse {}))
    }
}
