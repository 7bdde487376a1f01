use super::Handler;
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
        let new = request.into_inner().provider.unwrap();
        let provider = Provider {
            identifier: format!("{}:7", new.display_name.replace(' ', "").to_uppercase()),
            display_name: new.display_name,
            description: new.description,
            auth_patterns: new.auth_patterns,
            proxy_url: new.proxy_url,
            proxy_enabled: new.proxy_enabled,
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
        provider.description = new.description;
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
