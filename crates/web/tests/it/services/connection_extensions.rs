use super::Handler;
use keystead_proto::extensions::{
    AccountTally, DeleteConnectionWithAccountsRequest, DeleteConnectionWithAccountsResponse,
    GetConnectionHealthRequest, GetConnectionHealthResponse, ListPlatformCredentialsRequest,
    ListPlatformCredentialsResponse, TestConnectionRequest, TestConnectionResponse,
    connection_extension_service_server::ConnectionExtensionService,
};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl ConnectionExtensionService for Handler {
    async fn get_connection_health(
        &self,
        request: Request<GetConnectionHealthRequest>,
    ) -> Result<Response<GetConnectionHealthResponse>, Status> {
        self.in_environment(&request)?;
        let id = request.into_inner().connection_id;
        let name = {
            let known = self.0.connections.lock().unwrap();
            let found = known.iter().find(|connection| connection.id == id);
            found.map(|connection| connection.key_id().to_owned())
        };
        let known = self.0.accounts.lock().unwrap();
        let mut accounts: Vec<AccountTally> = Vec::new();
        for account in known
            .iter()
            .filter(|account| Some(&account.connector) == name.as_ref())
        {
            match accounts
                .iter_mut()
                .find(|tally| tally.status == account.status)
            {
                Some(tally) => tally.total += 1,
                None => accounts.push(AccountTally {
                    status: account.status,
                    total: 1,
                }),
            }
        }
        let rest = self.0.health.lock().unwrap().clone();
        Ok(Response::new(GetConnectionHealthResponse {
            accounts,
            ..rest
        }))
    }

    async fn test_connection(
        &self,
        request: Request<TestConnectionRequest>,
    ) -> Result<Response<TestConnectionResponse>, Status> {
        self.write(&request)?;
        let request = request.into_inner();
        let link = format!(
            "https://dev.test/oauth/connect?token=canary-link-{}-{}&state=1",
            request.connection_id,
            request.identifier.replace('@', ".")
        );
        Ok(Response::new(TestConnectionResponse {
            test_request_id: "test_1".to_owned(),
            link,
            expiry: None,
        }))
    }

    async fn delete_connection_with_accounts(
        &self,
        request: Request<DeleteConnectionWithAccountsRequest>,
    ) -> Result<Response<DeleteConnectionWithAccountsResponse>, Status> {
        self.write(&request)?;
        let id = request.into_inner().connection_id;
        let mut known = self.0.connections.lock().unwrap();
        known.retain(|connection| connection.id != id);
        Ok(Response::new(DeleteConnectionWithAccountsResponse {}))
    }

    async fn list_platform_credentials(
        &self,
        request: Request<ListPlatformCredentialsRequest>,
    ) -> Result<Response<ListPlatformCredentialsResponse>, Status> {
        self.in_environment(&request)?;
        let provider_keys = self.0.platform_apps.lock().unwrap().clone();
        Ok(Response::new(ListPlatformCredentialsResponse {
            provider_keys,
        }))
    }
}
