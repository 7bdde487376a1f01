//! `ConnectionService`: the connections that agents use. Those for logging in are not built yet, so
//! no organization owns a connection.

use crate::{
    App,
    convert::{
        connected_accounts::by_id, connection_settings, connections as convert, structs, total,
    },
    request::{Reply, explicit, open, required, small_page},
    status::{Plain, failed},
};
use keystead_agentkit::{
    AgentKit, Error,
    connections::{Connection, ConnectionPatch, ConnectionSettings},
};
use keystead_authz::{Caller, Denied};
use keystead_proto::{
    ExplicitFields,
    v1::connections::{self as pb, connection_service_server::ConnectionService},
};
use keystead_store::entities::connections::ConnectionFilter;
use keystead_types::{
    ConnectionId, EnvironmentId, ErrorCode, PageRequest, PageSize, TestRequestId,
};
use tonic::{Request, Response, Status, async_trait};

pub(crate) struct Connections(pub(crate) App);

/// What a path through an organization names. The clients send an empty organization for
/// connections of the environment.
fn of_environment(organization: &str, id: &str) -> Result<ConnectionId, Status> {
    if organization.is_empty() {
        convert::id(id).map_err(failed)
    } else {
        Err(failed(convert::unknown(id)))
    }
}

impl Connections {
    const fn kit(&self) -> &AgentKit {
        &self.0.agentkit
    }

    async fn shown(
        &self,
        env: EnvironmentId,
        connection: &Connection,
    ) -> Result<pb::Connection, Status> {
        let redirect_uri = self
            .kit()
            .redirect_uri(env, connection.id)
            .await
            .map_err(failed)?;
        let origin = self.kit().base_url(env).await.map_err(failed)?;
        Ok(convert::connection(connection, redirect_uri, &origin))
    }

    /// The connection as the caller may see it. A visitor of a connect link sees only that of his
    /// account, and of it nothing that is meant for the developer's requests.
    async fn visible(&self, caller: &Caller, id: ConnectionId) -> Result<pb::Connection, Status> {
        let visitor = caller.only_account();
        if let Some(account) = visitor {
            let account = self.kit().account(caller.env(), by_id(account)).await;
            let account = account.map_err(failed)?;
            if account.connection_id != id {
                return Err(failed(convert::unknown(&id.to_string())));
            }
        }
        let mut connection = self
            .kit()
            .connection(caller.env(), id)
            .await
            .map_err(failed)?;
        if visitor.is_some() {
            connection.settings.static_config.clear();
        }
        self.shown(caller.env(), &connection).await
    }

    async fn create(
        &self,
        caller: &Caller,
        message: pb::CreateConnection,
    ) -> Result<pb::Connection, Status> {
        if message.provider_key.is_empty() {
            use pb::ConnectionType as Kind;
            return Err(failed(match message.r#type() {
                Kind::Oidc | Kind::Saml | Kind::Password | Kind::Passwordless | Kind::Webauthn => {
                    Error::Unsupported("a connection for logging in")
                }
                _ => Error::field("connection.provider_key", "is missing: name a connector"),
            }));
        }
        let (kit, env) = (self.kit(), caller.env());
        let provider = kit
            .find_provider(env, &message.provider_key)
            .await
            .map_err(failed)?
            .ok_or_else(|| {
                failed(Error::field(
                    "connection.provider_key",
                    "names no connector",
                ))
            })?;
        let new = convert::create(message, &provider).map_err(failed)?;
        let created = kit
            .create_connection(env, &caller.actor(), new)
            .await
            .map_err(failed)?;
        self.shown(env, &created).await
    }

    async fn update(
        &self,
        caller: &Caller,
        id: ConnectionId,
        message: pb::UpdateConnection,
        explicit: Option<&ExplicitFields>,
    ) -> Result<pb::Connection, Status> {
        let (kit, env) = (self.kit(), caller.env());
        let updated = kit
            .change_connection(env, &caller.actor(), id, |current| {
                connection_settings::update(message.clone(), current, explicit)
            })
            .await
            .map_err(failed)?;
        self.shown(env, &updated).await
    }

    async fn delete(&self, caller: &Caller, id: ConnectionId) -> Reply<()> {
        self.kit()
            .delete_connection(caller.env(), &caller.actor(), id)
            .await
            .map_err(failed)?;
        Ok(Response::new(()))
    }

    async fn switch(
        &self,
        caller: &Caller,
        id: ConnectionId,
        on: bool,
    ) -> Reply<pb::ToggleConnectionResponse> {
        let (kit, env, actor) = (self.kit(), caller.env(), caller.actor());
        let switched = if on {
            kit.enable_connection(env, &actor, id).await
        } else {
            kit.disable_connection(env, &actor, id).await
        };
        Ok(Response::new(pb::ToggleConnectionResponse {
            enabled: switched.map_err(failed)?.enabled,
            error_message: None,
        }))
    }
}

#[async_trait]
impl ConnectionService for Connections {
    async fn create_environment_connection(
        &self,
        request: Request<pb::CreateEnvironmentConnectionRequest>,
    ) -> Reply<pb::CreateConnectionResponse> {
        let (caller, message) = open(request)?;
        if message.flags.is_some_and(|flags| flags.is_login) {
            return Err(failed(Error::Unsupported("a connection for logging in")));
        }
        let wanted = required(message.connection, "connection")?;
        let connection = Some(self.create(&caller, wanted).await?);
        Ok(Response::new(pb::CreateConnectionResponse { connection }))
    }

    async fn create_connection(
        &self,
        request: Request<pb::CreateConnectionRequest>,
    ) -> Reply<pb::CreateConnectionResponse> {
        let (caller, message) = open(request)?;
        if !message.organization_id.is_empty() {
            return Err(failed(Error::Unsupported("a connection for logging in")));
        }
        let wanted = required(message.connection, "connection")?;
        let connection = Some(self.create(&caller, wanted).await?);
        Ok(Response::new(pb::CreateConnectionResponse { connection }))
    }

    async fn get_environment_connection(
        &self,
        request: Request<pb::GetEnvironmentConnectionRequest>,
    ) -> Reply<pb::GetConnectionResponse> {
        let (caller, message) = open(request)?;
        let id = of_environment("", &message.connection_id)?;
        let connection = Some(self.visible(&caller, id).await?);
        Ok(Response::new(pb::GetConnectionResponse { connection }))
    }

    async fn get_connection(
        &self,
        request: Request<pb::GetConnectionRequest>,
    ) -> Reply<pb::GetConnectionResponse> {
        let (caller, message) = open(request)?;
        let id = of_environment(&message.organization_id, &message.id)?;
        let connection = Some(self.visible(&caller, id).await?);
        Ok(Response::new(pb::GetConnectionResponse { connection }))
    }

    async fn update_environment_connection(
        &self,
        request: Request<pb::UpdateEnvironmentConnectionRequest>,
    ) -> Reply<pb::UpdateConnectionResponse> {
        let explicit = explicit(&request);
        let (caller, message) = open(request)?;
        let id = of_environment("", &message.connection_id)?;
        let changes = required(message.connection, "connection")?;
        let connection = Some(self.update(&caller, id, changes, explicit.as_ref()).await?);
        Ok(Response::new(pb::UpdateConnectionResponse { connection }))
    }

    async fn update_connection(
        &self,
        request: Request<pb::UpdateConnectionRequest>,
    ) -> Reply<pb::UpdateConnectionResponse> {
        let explicit = explicit(&request);
        let (caller, message) = open(request)?;
        let id = of_environment(&message.organization_id, &message.id)?;
        let changes = required(message.connection, "connection")?;
        let connection = Some(self.update(&caller, id, changes, explicit.as_ref()).await?);
        Ok(Response::new(pb::UpdateConnectionResponse { connection }))
    }

    async fn delete_environment_connection(
        &self,
        request: Request<pb::DeleteEnvironmentConnectionRequest>,
    ) -> Reply<()> {
        let (caller, message) = open(request)?;
        let id = of_environment("", &message.connection_id)?;
        self.delete(&caller, id).await
    }

    async fn delete_connection(&self, request: Request<pb::DeleteConnectionRequest>) -> Reply<()> {
        let (caller, message) = open(request)?;
        let id = of_environment(&message.organization_id, &message.id)?;
        self.delete(&caller, id).await
    }

    async fn enable_environment_connection(
        &self,
        request: Request<pb::ToggleEnvironmentConnectionRequest>,
    ) -> Reply<pb::ToggleConnectionResponse> {
        let (caller, message) = open(request)?;
        let id = of_environment("", &message.connection_id)?;
        self.switch(&caller, id, true).await
    }

    async fn enable_connection(
        &self,
        request: Request<pb::ToggleConnectionRequest>,
    ) -> Reply<pb::ToggleConnectionResponse> {
        let (caller, message) = open(request)?;
        let id = of_environment(&message.organization_id, &message.id)?;
        self.switch(&caller, id, true).await
    }

    async fn disable_environment_connection(
        &self,
        request: Request<pb::ToggleEnvironmentConnectionRequest>,
    ) -> Reply<pb::ToggleConnectionResponse> {
        let (caller, message) = open(request)?;
        let id = of_environment("", &message.connection_id)?;
        self.switch(&caller, id, false).await
    }

    async fn disable_connection(
        &self,
        request: Request<pb::ToggleConnectionRequest>,
    ) -> Reply<pb::ToggleConnectionResponse> {
        let (caller, message) = open(request)?;
        let id = of_environment(&message.organization_id, &message.id)?;
        self.switch(&caller, id, false).await
    }

    async fn list_app_connections(
        &self,
        request: Request<pb::ListAppConnectionsRequest>,
    ) -> Reply<pb::ListAppConnectionsResponse> {
        let (caller, message) = open(request)?;
        let filter = ConnectionFilter {
            provider_key: message.provider.map(|key| key.to_ascii_uppercase()),
            query: message.query.map(|query| query.to_lowercase()),
        };
        let page = small_page(message.page_size, message.page_token);
        let listed = self
            .kit()
            .list_connections(caller.env(), &filter, &page)
            .await
            .map_err(failed)?;
        let origin = self.kit().base_url(caller.env()).await.map_err(failed)?;
        let listed = listed.map(|connection| convert::row(&connection, &origin));
        Ok(Response::new(pb::ListAppConnectionsResponse {
            connections: listed.items,
            next_page_token: listed.next_page_token,
            prev_page_token: listed.prev_page_token,
            total_size: total(listed.total_size),
        }))
    }

    /// Connections for logging in come first and there are none; those of agents are in the list
    /// when all are asked for (AK-104). The message has no pages.
    async fn list_connections(
        &self,
        request: Request<pb::ListConnectionsRequest>,
    ) -> Reply<pb::ListConnectionsResponse> {
        let (caller, message) = open(request)?;
        let mut connections = Vec::new();
        let narrowed = [&message.organization_id, &message.domain]
            .into_iter()
            .any(|field| field.as_deref().is_some_and(|text| !text.is_empty()));
        if narrowed || message.include.as_deref() != Some("all") {
            return Ok(Response::new(pb::ListConnectionsResponse { connections }));
        }
        let origin = self.kit().base_url(caller.env()).await.map_err(failed)?;
        let mut token = String::new();
        loop {
            let page = PageRequest {
                size: PageSize::clamp(500, 500, 500),
                token,
            };
            let listed = self
                .kit()
                .list_connections(caller.env(), &ConnectionFilter::default(), &page)
                .await
                .map_err(failed)?;
            let rows = listed.items.iter();
            connections.extend(rows.map(|connection| convert::row(connection, &origin)));
            token = listed.next_page_token;
            if token.is_empty() {
                return Ok(Response::new(pb::ListConnectionsResponse { connections }));
            }
        }
    }

    async fn get_connection_context(
        &self,
        request: Request<pb::GetConnectionContextRequest>,
    ) -> Reply<pb::GetConnectionContextResponse> {
        let (caller, message) = open(request)?;
        let id = of_environment(&message.organization_id, &message.connection_id)?;
        // SECURITY: it may hold headers of the developer's requests (AK-112).
        if caller.only_account().is_some() {
            return Err(failed(Denied::Kind));
        }
        let connection = self
            .kit()
            .connection(caller.env(), id)
            .await
            .map_err(failed)?;
        Ok(Response::new(pb::GetConnectionContextResponse {
            context: Some(structs::from_json(connection.settings.context)),
        }))
    }

    async fn update_connection_context(
        &self,
        request: Request<pb::UpdateConnectionContextRequest>,
    ) -> Reply<()> {
        let (caller, message) = open(request)?;
        let id = of_environment(&message.organization_id, &message.connection_id)?;
        let context = message.context.map(structs::to_json).unwrap_or_default();
        self.kit()
            .change_connection(caller.env(), &caller.actor(), id, |current| {
                Ok(ConnectionPatch {
                    settings: Some(ConnectionSettings {
                        context: context.clone(),
                        ..current.settings.clone()
                    }),
                    ..ConnectionPatch::default()
                })
            })
            .await
            .map_err(failed)?;
        Ok(Response::new(()))
    }

    async fn get_connection_test_result(
        &self,
        request: Request<pb::GetConnectionTestResultRequest>,
    ) -> Reply<pb::GetConnectionTestResultResponse> {
        let (caller, message) = open(request)?;
        let id = of_environment("", &message.connection_id)?;
        let unknown = || failed(Plain::new(ErrorCode::NotFound, "test request not found"));
        let test: TestRequestId = message.test_request_id.parse().map_err(|_| unknown())?;
        let found = self.kit().find_connection_test(caller.env(), id, test);
        let found = found.await.map_err(failed)?.ok_or_else(unknown)?;
        let set = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Response::new(pb::GetConnectionTestResultResponse {
            status: convert::test_status(found.status),
            user_info: None,
            error: set(found.error),
            error_description: set(found.error_description),
            error_details: None,
        }))
    }
}
