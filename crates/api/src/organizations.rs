//! `OrganizationService`.

use crate::{
    App,
    convert::organizations as convert,
    request::{Reply, open, page, required, small_page},
    status::{Plain, failed, internal},
};
use keystead_identity::organizations::{self as domain, Selector, UpdateOrganization};
use keystead_proto::v1::organizations::{
    self as pb, organization_service_server::OrganizationService,
};
use keystead_types::{ErrorCode, Internal};
use pb::{
    delete_organization_request::Identities as Deleted,
    get_organization_request::Identities as Wanted,
    update_organization_request::Identities as Updated,
};
use tonic::{Request, Response, Status, async_trait};

pub(crate) struct Organizations(pub(crate) App);

impl Organizations {
    async fn found(
        &self,
        env: keystead_types::EnvironmentId,
        selector: Selector,
    ) -> Result<pb::Organization, Status> {
        let mut reader = self.0.ctx.db.read(env);
        let found = match selector {
            Selector::Id(id) => domain::find(&mut reader, id).await,
            Selector::ExternalId(external_id) => {
                domain::find_by_external_id(&mut reader, &external_id).await
            }
        };
        let organization = found
            .map_err(failed)?
            .ok_or_else(|| failed(domain::Error::NotFound))?;
        convert::organization(organization).map_err(internal)
    }
}

fn store(error: keystead_store::StoreError) -> Status {
    internal(Internal::new(error))
}

fn unnamed() -> Status {
    failed(Plain::new(
        ErrorCode::InvalidArgument,
        "id or external_id is required",
    ))
}

#[async_trait]
impl OrganizationService for Organizations {
    async fn create_organization(
        &self,
        request: Request<pb::CreateOrganizationRequest>,
    ) -> Reply<pb::CreateOrganizationResponse> {
        let (caller, message) = open(request)?;
        let command = convert::create(required(message.organization, "organization")?);
        let mut tx = self.0.ctx.db.begin(caller.env()).await.map_err(store)?;
        let created = domain::create(&mut tx, &self.0.ctx, &caller.actor(), command)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(store)?;
        let organization = convert::organization(created).map_err(internal)?;
        Ok(Response::new(pb::CreateOrganizationResponse {
            organization: Some(organization),
        }))
    }

    async fn update_organization(
        &self,
        request: Request<pb::UpdateOrganizationRequest>,
    ) -> Reply<pb::UpdateOrganizationResponse> {
        let (caller, message) = open(request)?;
        let selector = match message.identities.ok_or_else(unnamed)? {
            Updated::Id(id) => convert::by_id(&id).map_err(failed)?,
            Updated::ExternalId(external_id) => Selector::ExternalId(external_id),
        };
        let changed = required(message.organization, "organization")?;
        let mask = message
            .update_mask
            .map(|mask| mask.paths)
            .filter(|paths| !paths.is_empty());
        let changes = convert::update(changed, mask.as_deref())
            .map_err(|name| failed(convert::unknown_mask_field(&name)))?;
        let organization = self.change(&caller, &selector, changes).await?;
        Ok(Response::new(pb::UpdateOrganizationResponse {
            organization: Some(organization),
        }))
    }

    async fn get_organization(
        &self,
        request: Request<pb::GetOrganizationRequest>,
    ) -> Reply<pb::GetOrganizationResponse> {
        let (caller, message) = open(request)?;
        let selector = match message.identities.ok_or_else(unnamed)? {
            Wanted::Id(id) => convert::by_id(&id).map_err(failed)?,
            Wanted::ExternalId(external_id) => Selector::ExternalId(external_id),
        };
        let organization = Some(self.found(caller.env(), selector).await?);
        Ok(Response::new(pb::GetOrganizationResponse { organization }))
    }

    async fn get_organization_by_external_id(
        &self,
        request: Request<pb::GetOrganizationRequest>,
    ) -> Reply<pb::GetOrganizationResponse> {
        let (caller, message) = open(request)?;
        // DR-007: an id beside the path is refused with this text.
        let Some(Wanted::ExternalId(external_id)) = message.identities else {
            return Err(failed(Plain::new(
                ErrorCode::InvalidArgument,
                "ExternalId is required",
            )));
        };
        let organization = Some(
            self.found(caller.env(), Selector::ExternalId(external_id))
                .await?,
        );
        Ok(Response::new(pb::GetOrganizationResponse { organization }))
    }

    async fn list_organization(
        &self,
        request: Request<pb::ListOrganizationsRequest>,
    ) -> Reply<pb::ListOrganizationsResponse> {
        let (caller, message) = open(request)?;
        let asked = page(message.page_size, message.page_token);
        let external_id = message
            .external_id
            .as_deref()
            .filter(|value| !value.is_empty());
        let listed = domain::list(&self.0.ctx, caller.env(), &asked, external_id)
            .await
            .map_err(failed)?;
        let (organizations, total_size, next_page_token, prev_page_token) =
            convert::page(listed).map_err(internal)?;
        Ok(Response::new(pb::ListOrganizationsResponse {
            next_page_token,
            total_size,
            organizations,
            prev_page_token,
        }))
    }

    async fn search_organization(
        &self,
        request: Request<pb::SearchOrganizationsRequest>,
    ) -> Reply<pb::SearchOrganizationsResponse> {
        let (caller, message) = open(request)?;
        let asked = small_page(message.page_size, message.page_token);
        let found = domain::search(&self.0.ctx, caller.env(), &asked, &message.query)
            .await
            .map_err(failed)?;
        let (organizations, total_size, next_page_token, prev_page_token) =
            convert::page(found).map_err(internal)?;
        Ok(Response::new(pb::SearchOrganizationsResponse {
            next_page_token,
            total_size,
            organizations,
            prev_page_token,
        }))
    }

    async fn delete_organization(
        &self,
        request: Request<pb::DeleteOrganizationRequest>,
    ) -> Reply<()> {
        let (caller, message) = open(request)?;
        let selector = match message.identities.ok_or_else(unnamed)? {
            Deleted::Id(id) => convert::by_id(&id).map_err(failed)?,
            Deleted::ExternalId(external_id) => Selector::ExternalId(external_id),
        };
        let (ctx, kit, actor) = (&self.0.ctx, &self.0.agentkit, caller.actor());
        let mut tx = ctx.db.begin(caller.env()).await.map_err(store)?;
        let organization = domain::lock(&mut tx, &selector).await.map_err(failed)?;
        let removal = kit
            .remove_accounts_of(&mut tx, &actor, organization.id)
            .await;
        let removal = removal.map_err(failed)?;
        let deleted = domain::delete(&mut tx, ctx, &actor, &selector).await;
        deleted.map_err(failed)?;
        tx.commit().await.map_err(store)?;
        kit.start_removal(&removal);
        Ok(Response::new(()))
    }

    async fn update_organization_settings(
        &self,
        request: Request<pb::UpdateOrganizationSettingsRequest>,
    ) -> Reply<pb::GetOrganizationResponse> {
        let (caller, message) = open(request)?;
        let selector = convert::by_id(&message.id).map_err(failed)?;
        let settings = required(message.settings, "settings")?;
        let features = settings
            .features
            .into_iter()
            .map(|feature| (feature.name, feature.enabled))
            .collect();
        let changes = UpdateOrganization {
            features,
            ..UpdateOrganization::default()
        };
        let organization = Some(self.change(&caller, &selector, changes).await?);
        Ok(Response::new(pb::GetOrganizationResponse { organization }))
    }
}

impl Organizations {
    async fn change(
        &self,
        caller: &keystead_authz::Caller,
        selector: &Selector,
        changes: UpdateOrganization,
    ) -> Result<pb::Organization, Status> {
        let mut tx = self.0.ctx.db.begin(caller.env()).await.map_err(store)?;
        let changed =
            domain::update(&mut tx, &self.0.ctx, &caller.actor(), selector, changes).await;
        let changed = changed.map_err(failed)?;
        tx.commit().await.map_err(store)?;
        convert::organization(changed).map_err(internal)
    }
}
