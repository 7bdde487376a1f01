use super::Handler;
use keystead_proto::v1::clients::{
    Client, ClientSecret, CreateClientRequest, CreateClientResponse, CreateClientSecretRequest,
    CreateClientSecretResponse, DeleteClientRequest, DeleteClientSecretRequest, GetClientRequest,
    GetClientResponse, ListClientsRequest, ListClientsResponse,
    client_service_server::ClientService,
};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl ClientService for Handler {
    async fn list_client(
        &self,
        request: Request<ListClientsRequest>,
    ) -> Result<Response<ListClientsResponse>, Status> {
        self.in_environment(&request)?;
        let clients = self.0.clients.lock().unwrap().clone();
        Ok(Response::new(ListClientsResponse {
            clients,
            ..Default::default()
        }))
    }

    async fn create_client(
        &self,
        request: Request<CreateClientRequest>,
    ) -> Result<Response<CreateClientResponse>, Status> {
        self.write(&request)?;
        let new = request.into_inner().client.unwrap();
        let client = Client {
            id: "skc_9".to_owned(),
            name: new.name,
            client_type: new.client_type,
            ..Default::default()
        };
        self.0.clients.lock().unwrap().push(client.clone());
        Ok(Response::new(CreateClientResponse {
            client: Some(client),
        }))
    }

    async fn get_client(
        &self,
        request: Request<GetClientRequest>,
    ) -> Result<Response<GetClientResponse>, Status> {
        self.in_environment(&request)?;
        let id = request.into_inner().client_id;
        let known = self.0.clients.lock().unwrap();
        let client = known.iter().find(|client| client.id == id).cloned();
        let client = client.ok_or_else(|| Status::not_found("client not found"))?;
        Ok(Response::new(GetClientResponse {
            client: Some(client),
        }))
    }

    async fn delete_client(
        &self,
        request: Request<DeleteClientRequest>,
    ) -> Result<Response<()>, Status> {
        self.write(&request)?;
        let id = request.into_inner().client_id;
        self.0
            .clients
            .lock()
            .unwrap()
            .retain(|client| client.id != id);
        Ok(Response::new(()))
    }

    async fn create_client_secret(
        &self,
        request: Request<CreateClientSecretRequest>,
    ) -> Result<Response<CreateClientSecretResponse>, Status> {
        self.write(&request)?;
        let id = request.into_inner().client_id;
        let secret = ClientSecret {
            id: "sks_9".to_owned(),
            secret_suffix: "x9y8".to_owned(),
            ..Default::default()
        };
        let mut known = self.0.clients.lock().unwrap();
        known
            .iter_mut()
            .find(|client| client.id == id)
            .unwrap()
            .secrets
            .push(secret.clone());
        Ok(Response::new(CreateClientSecretResponse {
            plain_secret: "canary-client-secret-x9y8".to_owned(),
            secret: Some(secret),
        }))
    }

    async fn delete_client_secret(
        &self,
        request: Request<DeleteClientSecretRequest>,
    ) -> Result<Response<()>, Status> {
        self.write(&request)?;
        let request = request.into_inner();
        for client in self
            .0
            .clients
            .lock()
            .unwrap()
            .iter_mut()
            .filter(|client| client.id == request.client_id)
        {
            client
                .secrets
                .retain(|secret| secret.id != request.secret_id);
        }
        Ok(Response::new(()))
    }
}
