use super::Handler;
use keystead_proto::v1::connected_accounts::{
    AuthorizeOrgWideCredentialRequest, AuthorizeOrgWideCredentialResponse, ConnectedAccount,
    ConnectedAccountForList, ConnectorStatus, DeleteConnectedAccountRequest,
    DeleteConnectedAccountResponse, DisconnectConnectedAccountRequest,
    DisconnectConnectedAccountResponse, GetConnectedAccountRequest, GetConnectedAccountResponse,
    GetMagicLinkForConnectedAccountRequest, GetMagicLinkForConnectedAccountResponse,
    ListConnectedAccountsRequest, ListConnectedAccountsResponse,
    connected_account_service_server::ConnectedAccountService,
};
use tonic::{Request, Response, Status};

impl Handler {
    pub(super) fn account(&self, id: &str) -> Result<ConnectedAccount, Status> {
        let known = self.0.accounts.lock().unwrap();
        let found = known.iter().find(|account| account.id == id).cloned();
        found.ok_or_else(|| Status::not_found("connected account not found"))
    }
}

#[tonic::async_trait]
impl ConnectedAccountService for Handler {
    async fn list_connected_accounts(
        &self,
        request: Request<ListConnectedAccountsRequest>,
    ) -> Result<Response<ListConnectedAccountsResponse>, Status> {
        self.in_environment(&request)?;
        let request = request.into_inner();
        let known = self.0.accounts.lock().unwrap();
        let rows: Vec<ConnectedAccountForList> = known
            .iter()
            .filter(|account| {
                request
                    .connector
                    .as_ref()
                    .is_none_or(|name| account.connector == *name)
            })
            .filter(|account| request.status == 0 || account.status == request.status)
            .filter(|account| {
                request
                    .identifier
                    .as_ref()
                    .is_none_or(|name| account.identifier == *name)
            })
            .filter(|account| account.identifier.contains(&request.query))
            .map(|account| ConnectedAccountForList {
                id: account.id.clone(),
                identifier: account.identifier.clone(),
                provider: account.provider.clone(),
                connector: account.connector.clone(),
                status: account.status,
                token_expires_at: account.token_expires_at,
                last_used_at: account.last_used_at,
                ..Default::default()
            })
            .collect();
        let total_size = u32::try_from(rows.len()).unwrap();
        Ok(Response::new(ListConnectedAccountsResponse {
            connected_accounts: rows,
            total_size,
            ..Default::default()
        }))
    }

    async fn get_connected_account(
        &self,
        request: Request<GetConnectedAccountRequest>,
    ) -> Result<Response<GetConnectedAccountResponse>, Status> {
        self.in_environment(&request)?;
        let account = self.account(&request.into_inner().id)?;
        Ok(Response::new(GetConnectedAccountResponse {
            connected_account: Some(account),
        }))
    }

    async fn get_magic_link_for_connected_account(
        &self,
        request: Request<GetMagicLinkForConnectedAccountRequest>,
    ) -> Result<Response<GetMagicLinkForConnectedAccountResponse>, Status> {
        self.write(&request)?;
        let request = request.into_inner();
        let name = match request.id {
            Some(id) => self.account(&id)?.identifier,
            None => request
                .identifier
                .ok_or_else(|| Status::invalid_argument("identifier required"))?,
        };
        let expiry = Some(prost_types::Timestamp {
            seconds: 1_790_003_600,
            nanos: 0,
        });
        let link = format!(
            "https://dev.test/oauth/connect?token=canary-link-{}&state=1",
            name.replace('@', ".")
        );
        Ok(Response::new(GetMagicLinkForConnectedAccountResponse {
            link,
            expiry,
        }))
    }

    async fn authorize_org_wide_credential(
        &self,
        request: Request<AuthorizeOrgWideCredentialRequest>,
    ) -> Result<Response<AuthorizeOrgWideCredentialResponse>, Status> {
        self.write(&request)?;
        let id = request.into_inner().connection_id;
        Ok(Response::new(AuthorizeOrgWideCredentialResponse {
            link: Some(format!(
                "https://dev.test/oauth/connect?token=canary-{id}&state=1"
            )),
            ..Default::default()
        }))
    }

    async fn disconnect_connected_account(
        &self,
        request: Request<DisconnectConnectedAccountRequest>,
    ) -> Result<Response<DisconnectConnectedAccountResponse>, Status> {
        self.write(&request)?;
        let id = request.into_inner().id;
        let mut known = self.0.accounts.lock().unwrap();
        let account = known.iter_mut().find(|account| account.id == id).unwrap();
        account.status = ConnectorStatus::Disconnected.into();
        Ok(Response::new(DisconnectConnectedAccountResponse {
            connected_account: Some(account.clone()),
        }))
    }

    async fn delete_connected_account(
        &self,
        request: Request<DeleteConnectedAccountRequest>,
    ) -> Result<Response<DeleteConnectedAccountResponse>, Status> {
        self.write(&request)?;
        let id = request.into_inner().id.unwrap();
        self.0
            .accounts
            .lock()
            .unwrap()
            .retain(|account| account.id != id);
        Ok(Response::new(DeleteConnectedAccountResponse {}))
    }
}
