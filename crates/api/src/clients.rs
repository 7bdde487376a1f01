//! `ClientService`: the API clients of an environment. Organization and resource clients are not
//! built yet.

use crate::{
    App,
    convert::clients as convert,
    request::{Reply, open, required, small_page},
    status::{failed, internal},
};
use keystead_authz::Caller;
use keystead_identity::clients::{self as domain, ClientSettings, Error};
use keystead_proto::v1::clients::{self as pb, client_service_server::ClientService};
use keystead_types::{ClientId, ClientSecretId, EnvironmentId};
use tonic::{Request, Response, Status, async_trait};

pub(crate) struct Clients(pub(crate) App);

/// An id that cannot be one of ours is the id of nothing.
fn client_id(id: &str) -> Result<ClientId, Status> {
    id.parse().map_err(|_| failed(Error::NotFound))
}

fn secret_id(id: &str) -> Result<ClientSecretId, Status> {
    id.parse().map_err(|_| failed(Error::SecretNotFound))
}

impl Clients {
    async fn shown(
        &self,
        env: EnvironmentId,
        client: domain::Client,
    ) -> Result<pb::Client, Status> {
        let keys = self.0.ctx.signing_keys(env).await.map_err(internal)?;
        Ok(convert::client(client, keys.active_kid()))
    }

    /// Changes the login addresses of the environment's own client (LG-285).
    async fn change_login_uris(
        &self,
        caller: &Caller,
        apply: impl FnOnce(&mut ClientSettings) + Send,
    ) -> Reply<pb::EnvironmentLoginUrisResponse> {
        let (ctx, env) = (&self.0.ctx, caller.env());
        let own = domain::environment_client(ctx, env).await.map_err(failed)?;
        let change = |mut client: domain::UpdateClient| {
            apply(&mut client.settings);
            client
        };
        let client = domain::update(ctx, env, &caller.actor(), own, change)
            .await
            .map_err(failed)?;
        Ok(Response::new(pb::EnvironmentLoginUrisResponse {
            client_id: client.row.id.to_string(),
            redirect_uris: client.settings.post_login_uris,
            post_logout_redirect_uris: client.settings.post_logout_redirect_uris,
            initiate_login_uri: client.settings.initiate_login_uri,
        }))
    }
}

#[async_trait]
impl ClientService for Clients {
    async fn list_client(
        &self,
        request: Request<pb::ListClientsRequest>,
    ) -> Reply<pb::ListClientsResponse> {
        let (caller, message) = open(request)?;
        let page = small_page(message.page_size, message.page_token);
        let words = message
            .filter
            .map(|filter| filter.client_type)
            .unwrap_or_default();
        let kinds = convert::kinds(&words).map_err(failed)?;
        let listed = domain::list(&self.0.ctx, caller.env(), &page, &kinds)
            .await
            .map_err(failed)?;
        let keys = self
            .0
            .ctx
            .signing_keys(caller.env())
            .await
            .map_err(internal)?;
        let listed = listed.map(|client| convert::client(client, keys.active_kid()));
        Ok(Response::new(pb::ListClientsResponse {
            total_size: crate::convert::total(listed.total_size),
            clients: listed.items,
            next_page_token: listed.next_page_token,
            prev_page_token: listed.prev_page_token,
        }))
    }

    async fn create_client(
        &self,
        request: Request<pb::CreateClientRequest>,
    ) -> Reply<pb::CreateClientResponse> {
        let (caller, message) = open(request)?;
        let command = convert::create(required(message.client, "client")?).map_err(failed)?;
        let client = domain::create(&self.0.ctx, caller.env(), &caller.actor(), command)
            .await
            .map_err(failed)?;
        let client = Some(self.shown(caller.env(), client).await?);
        Ok(Response::new(pb::CreateClientResponse { client }))
    }

    async fn get_client(
        &self,
        request: Request<pb::GetClientRequest>,
    ) -> Reply<pb::GetClientResponse> {
        let (caller, message) = open(request)?;
        let id = client_id(&message.client_id)?;
        let client = domain::get(&mut self.0.ctx.db.read(caller.env()), id)
            .await
            .map_err(failed)?;
        let client = Some(self.shown(caller.env(), client).await?);
        Ok(Response::new(pb::GetClientResponse { client }))
    }

    async fn update_client(
        &self,
        request: Request<pb::UpdateClientRequest>,
    ) -> Reply<pb::UpdateClientResponse> {
        let (caller, message) = open(request)?;
        let id = client_id(&message.client_id)?;
        let mask = message
            .mask
            .map(|mask| mask.paths)
            .filter(|paths| !paths.is_empty());
        let changed = required(message.client, "client")?;
        let apply = convert::update(changed, mask.as_deref()).map_err(failed)?;
        let updated = domain::update(&self.0.ctx, caller.env(), &caller.actor(), id, apply).await;
        let client = Some(self.shown(caller.env(), updated.map_err(failed)?).await?);
        Ok(Response::new(pb::UpdateClientResponse { client }))
    }

    async fn delete_client(&self, request: Request<pb::DeleteClientRequest>) -> Reply<()> {
        let (caller, message) = open(request)?;
        let id = client_id(&message.client_id)?;
        domain::delete(&self.0.ctx, caller.env(), &caller.actor(), id)
            .await
            .map_err(failed)?;
        Ok(Response::new(()))
    }

    async fn create_client_secret(
        &self,
        request: Request<pb::CreateClientSecretRequest>,
    ) -> Reply<pb::CreateClientSecretResponse> {
        let (caller, message) = open(request)?;
        let id = client_id(&message.client_id)?;
        let issued = domain::create_secret(&self.0.ctx, caller.env(), &caller.actor(), id).await;
        Ok(Response::new(convert::issued(issued.map_err(failed)?)))
    }

    async fn update_client_secret(
        &self,
        request: Request<pb::UpdateClientSecretRequest>,
    ) -> Reply<pb::UpdateClientSecretResponse> {
        let (caller, message) = open(request)?;
        let (client, id) = (
            client_id(&message.client_id)?,
            secret_id(&message.secret_id)?,
        );
        let status = convert::status(required(message.secret, "secret")?.status).map_err(failed)?;
        let changed = domain::set_secret_status(
            &self.0.ctx,
            caller.env(),
            &caller.actor(),
            client,
            id,
            status,
        )
        .await;
        let secret = Some(convert::secret(changed.map_err(failed)?));
        Ok(Response::new(pb::UpdateClientSecretResponse { secret }))
    }

    async fn delete_client_secret(
        &self,
        request: Request<pb::DeleteClientSecretRequest>,
    ) -> Reply<()> {
        let (caller, message) = open(request)?;
        let (client, id) = (
            client_id(&message.client_id)?,
            secret_id(&message.secret_id)?,
        );
        domain::delete_secret(&self.0.ctx, caller.env(), &caller.actor(), client, id)
            .await
            .map_err(failed)?;
        Ok(Response::new(()))
    }

    async fn add_environment_redirect_uri(
        &self,
        request: Request<pb::AddEnvironmentRedirectUriRequest>,
    ) -> Reply<pb::EnvironmentLoginUrisResponse> {
        let (caller, message) = open(request)?;
        self.change_login_uris(&caller, |settings| {
            if !settings.post_login_uris.contains(&message.redirect_uri) {
                settings.post_login_uris.push(message.redirect_uri);
            }
        })
        .await
    }

    async fn remove_environment_redirect_uri(
        &self,
        request: Request<pb::RemoveEnvironmentRedirectUriRequest>,
    ) -> Reply<pb::EnvironmentLoginUrisResponse> {
        let (caller, message) = open(request)?;
        self.change_login_uris(&caller, |settings| {
            settings
                .post_login_uris
                .retain(|uri| *uri != message.redirect_uri);
        })
        .await
    }

    async fn set_environment_initiate_login_uri(
        &self,
        request: Request<pb::SetEnvironmentInitiateLoginUriRequest>,
    ) -> Reply<pb::EnvironmentLoginUrisResponse> {
        let (caller, message) = open(request)?;
        self.change_login_uris(&caller, |settings| {
            settings.initiate_login_uri = message.initiate_login_uri;
        })
        .await
    }
}
