use super::{Handler, written};
use keystead_proto::{
    v1::connections::{
        Connection, CreateConnectionResponse, CreateEnvironmentConnectionRequest,
        DeleteEnvironmentConnectionRequest, GetConnectionResponse, GetEnvironmentConnectionRequest,
        ListAppConnectionsRequest, ListAppConnectionsResponse, ListConnection,
        OAuthConnectionConfig, ToggleConnectionResponse, ToggleEnvironmentConnectionRequest,
        UpdateConnectionResponse, UpdateEnvironmentConnectionRequest, connection::Settings,
        connection_service_server::ConnectionService, update_connection,
    },
    wrappers::StringValue,
};
use tonic::{Request, Response, Status};

impl Handler {
    fn change<T>(&self, id: &str, change: impl FnOnce(&mut Connection) -> T) -> Result<T, Status> {
        let mut known = self.0.connections.lock().unwrap();
        let found = known.iter_mut().find(|connection| connection.id == id);
        found
            .map(change)
            .ok_or_else(|| Status::not_found("connection not found"))
    }
}

#[tonic::async_trait]
impl ConnectionService for Handler {
    async fn list_app_connections(
        &self,
        request: Request<ListAppConnectionsRequest>,
    ) -> Result<Response<ListAppConnectionsResponse>, Status> {
        self.in_environment(&request)?;
        let request = request.into_inner();
        let known = self.0.connections.lock().unwrap();
        let query = request.query.unwrap_or_default();
        let rows: Vec<ListConnection> = known
            .iter()
            .filter(|connection| connection.key_id().contains(&query))
            .map(|connection| ListConnection {
                id: connection.id.clone(),
                r#type: connection.r#type,
                status: connection.status,
                enabled: connection.enabled,
                provider_key: connection.provider_key.clone(),
                key_id: connection.key_id().to_owned(),
                created_at: connection.create_time,
                ..Default::default()
            })
            .collect();
        let total_size = u32::try_from(rows.len()).unwrap();
        let next_page_token = if request.page_token.is_empty() && total_size > 1 {
            "next&1".to_owned()
        } else {
            String::new()
        };
        Ok(Response::new(ListAppConnectionsResponse {
            connections: rows,
            total_size,
            next_page_token,
            ..Default::default()
        }))
    }

    async fn create_environment_connection(
        &self,
        request: Request<CreateEnvironmentConnectionRequest>,
    ) -> Result<Response<CreateConnectionResponse>, Status> {
        self.write(&request)?;
        let new = request.into_inner().connection.unwrap();
        let connection = Connection {
            id: "conn_9".to_owned(),
            r#type: new.r#type,
            key_id: new.key_id.or_else(|| Some("chosen".to_owned())),
            provider_key: new.provider_key,
            auth_mode: new.auth_mode,
            status: 1,
            settings: Some(Settings::OauthConfig(OAuthConnectionConfig {
                redirect_uri: "https://dev.test/sso/v1/oauth/conn_9/callback".to_owned(),
                ..Default::default()
            })),
            ..Default::default()
        };
        self.0.connections.lock().unwrap().push(connection.clone());
        Ok(Response::new(CreateConnectionResponse {
            connection: Some(connection),
        }))
    }

    async fn get_environment_connection(
        &self,
        request: Request<GetEnvironmentConnectionRequest>,
    ) -> Result<Response<GetConnectionResponse>, Status> {
        self.in_environment(&request)?;
        let mut connection = self.change(&request.into_inner().connection_id, |connection| {
            connection.clone()
        })?;
        if let Some(Settings::OauthConfig(config)) = &mut connection.settings
            && let Some(secret) = &mut config.client_secret
        {
            *secret = StringValue {
                value: "********".to_owned(),
            };
        }
        Ok(Response::new(GetConnectionResponse {
            connection: Some(connection),
        }))
    }

    async fn update_environment_connection(
        &self,
        request: Request<UpdateEnvironmentConnectionRequest>,
    ) -> Result<Response<UpdateConnectionResponse>, Status> {
        self.write(&request)?;
        let [scopes, required] = ["scopes", "required_scopes"]
            .map(|name| written(&request, &format!("connection.oauth_config.{name}")));
        let request = request.into_inner();
        let new = request.connection.unwrap();
        let changed = self.change(&request.connection_id, |connection| {
            connection.key_id = new.key_id.or(connection.key_id.take());
            if let Some(update_connection::Settings::OauthConfig(mut config)) = new.settings {
                if let Some(Settings::OauthConfig(old)) = &connection.settings {
                    config.client_secret =
                        config.client_secret.or_else(|| old.client_secret.clone());
                    if config.scopes.is_empty() && !scopes {
                        config.scopes.clone_from(&old.scopes);
                    }
                    if config.required_scopes.is_empty() && !required {
                        config.required_scopes.clone_from(&old.required_scopes);
                    }
                }
                connection.settings = Some(Settings::OauthConfig(config));
            }
            connection.clone()
        })?;
        Ok(Response::new(UpdateConnectionResponse {
            connection: Some(changed),
        }))
    }

    async fn enable_environment_connection(
        &self,
        request: Request<ToggleEnvironmentConnectionRequest>,
    ) -> Result<Response<ToggleConnectionResponse>, Status> {
        self.write(&request)?;
        self.change(&request.into_inner().connection_id, |connection| {
            connection.enabled = true;
        })?;
        Ok(Response::new(ToggleConnectionResponse {
            enabled: true,
            error_message: None,
        }))
    }

    async fn disable_environment_connection(
        &self,
        request: Request<ToggleEnvironmentConnectionRequest>,
    ) -> Result<Response<ToggleConnectionResponse>, Status> {
        self.write(&request)?;
        self.change(&request.into_inner().connection_id, |connection| {
            connection.enabled = false;
        })?;
        Ok(Response::new(ToggleConnectionResponse {
            enabled: false,
            error_message: None,
        }))
    }

    async fn delete_environment_connection(
        &self,
        request: Request<DeleteEnvironmentConnectionRequest>,
    ) -> Result<Response<()>, Status> {
        self.write(&request)?;
        let id = request.into_inner().connection_id;
        self.0
            .connections
            .lock()
            .unwrap()
            .retain(|connection| connection.id != id);
        Ok(Response::new(()))
    }
}
