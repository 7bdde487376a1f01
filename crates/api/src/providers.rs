//! `ProviderService`: connectors. Those of end users (`ListMyProviders`) are not built yet.

use crate::{
    App,
    convert::{connected_accounts::by_id, providers as convert, total},
    request::{Reply, explicit, open, required},
    status::failed,
};
use keystead_agentkit::providers::ProviderFilter;
use keystead_authz::{Caller, Denied};
use keystead_proto::v1::providers::{self as pb, provider_service_server::ProviderService};
use keystead_types::{PageRequest, PageSize};
use tonic::{Request, Response, Status, async_trait};

pub(crate) struct Providers(pub(crate) App);

impl Providers {
    /// What the caller may list: a visitor of a connect link sees only the connector of the
    /// account that the link is for.
    async fn limits(
        &self,
        caller: &Caller,
        message: &pb::ListProvidersRequest,
    ) -> Result<(ProviderFilter, String), Status> {
        let filter = convert::filter(message.filter).map_err(failed)?;
        let Some(id) = caller.only_account() else {
            return Ok((filter, message.identifier.clone()));
        };
        let (kit, env) = (&self.0.agentkit, caller.env());
        let account = kit.account(env, by_id(id)).await.map_err(failed)?;
        let connection = kit
            .connection(env, account.connection_id)
            .await
            .map_err(failed)?;
        Ok((ProviderFilter::All, connection.provider_key))
    }
}

#[async_trait]
impl ProviderService for Providers {
    async fn create_custom_provider(
        &self,
        request: Request<pb::CreateCustomProviderRequest>,
    ) -> Reply<pb::CreateProviderResponse> {
        let explicit = explicit(&request);
        let (caller, message) = open(request)?;
        let input = convert::create(required(message.provider, "provider")?, explicit.as_ref());
        let kit = &self.0.agentkit;
        let created = kit
            .create_custom_provider(caller.env(), &caller.actor(), input)
            .await
            .map_err(failed)?;
        let provider = Some(convert::provider(&created));
        Ok(Response::new(pb::CreateProviderResponse { provider }))
    }

    async fn update_custom_provider(
        &self,
        request: Request<pb::UpdateCustomProviderRequest>,
    ) -> Reply<pb::UpdateProviderResponse> {
        let explicit = explicit(&request);
        let (caller, message) = open(request)?;
        let patch = convert::update(required(message.provider, "provider")?, explicit.as_ref());
        let kit = &self.0.agentkit;
        let updated = kit
            .update_custom_provider(caller.env(), &caller.actor(), &message.identifier, patch)
            .await
            .map_err(failed)?;
        let provider = Some(convert::provider(&updated));
        Ok(Response::new(pb::UpdateProviderResponse { provider }))
    }

    async fn delete_custom_provider(
        &self,
        request: Request<pb::DeleteProviderRequest>,
    ) -> Reply<pb::DeleteProviderResponse> {
        let (caller, message) = open(request)?;
        let kit = &self.0.agentkit;
        kit.delete_custom_provider(caller.env(), &caller.actor(), &message.identifier)
            .await
            .map_err(failed)?;
        Ok(Response::new(pb::DeleteProviderResponse {}))
    }

    async fn list_providers(
        &self,
        request: Request<pb::ListProvidersRequest>,
    ) -> Reply<pb::ListProvidersResponse> {
        let (caller, message) = open(request)?;
        let (filter, identifier) = self.limits(&caller, &message).await?;
        let page = PageRequest {
            size: PageSize::clamp(message.page_size, 100, 1000),
            token: message.page_token,
        };
        let kit = &self.0.agentkit;
        let listed = kit
            .list_providers(caller.env(), filter, &identifier, &page)
            .await
            .map_err(failed)?;
        let listed = listed.map(|provider| convert::provider(&provider));
        Ok(Response::new(pb::ListProvidersResponse {
            providers: listed.items,
            next_page_token: listed.next_page_token,
            total_size: total(listed.total_size),
            prev_page_token: listed.prev_page_token,
        }))
    }

    // Built-in connectors are part of the server: its operator changes them on disk, and no
    // credential of the API is his (AK-021).

    async fn create_provider(
        &self,
        _: Request<pb::CreateProviderRequest>,
    ) -> Reply<pb::CreateProviderResponse> {
        Err(failed(Denied::Kind))
    }

    async fn update_provider(
        &self,
        _: Request<pb::UpdateProviderRequest>,
    ) -> Reply<pb::UpdateProviderResponse> {
        Err(failed(Denied::Kind))
    }

    async fn delete_provider(
        &self,
        _: Request<pb::DeleteProviderRequest>,
    ) -> Reply<pb::DeleteProviderResponse> {
        Err(failed(Denied::Kind))
    }
}
