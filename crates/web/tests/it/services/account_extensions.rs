use super::Handler;
use keystead_proto::extensions::{
    ConnectedAccountHistoryEntry, ListConnectedAccountHistoryRequest,
    ListConnectedAccountHistoryResponse, ListMissingScopesRequest, ListMissingScopesResponse,
    RefreshConnectedAccountRequest, RefreshConnectedAccountResponse,
    connected_account_extension_service_server::ConnectedAccountExtensionService,
};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl ConnectedAccountExtensionService for Handler {
    async fn list_connected_account_history(
        &self,
        request: Request<ListConnectedAccountHistoryRequest>,
    ) -> Result<Response<ListConnectedAccountHistoryResponse>, Status> {
        self.in_environment(&request)?;
        let id = request.into_inner().id;
        let known = self.0.history.lock().unwrap();
        let entries = known.iter().filter(|(account, _)| *account == id);
        Ok(Response::new(ListConnectedAccountHistoryResponse {
            entries: entries.map(|(_, entry)| entry.clone()).collect(),
        }))
    }

    async fn refresh_connected_account(
        &self,
        request: Request<RefreshConnectedAccountRequest>,
    ) -> Result<Response<RefreshConnectedAccountResponse>, Status> {
        self.write(&request)?;
        let account = self.account(&request.into_inner().id)?;
        let entry = ConnectedAccountHistoryEntry {
            kind: "connected_account.token_refresh_succeeded".to_owned(),
            occurred_at: Some(prost_types::Timestamp {
                seconds: 1_790_090_000,
                nanos: 0,
            }),
            ..ConnectedAccountHistoryEntry::default()
        };
        let mut known = self.0.history.lock().unwrap();
        known.insert(0, (account.id.clone(), entry));
        Ok(Response::new(RefreshConnectedAccountResponse {
            connected_account: Some(account),
        }))
    }

    async fn list_missing_scopes(
        &self,
        request: Request<ListMissingScopesRequest>,
    ) -> Result<Response<ListMissingScopesResponse>, Status> {
        self.in_environment(&request)?;
        let id = request.into_inner().id;
        let missing = self.0.missing_scopes.lock().unwrap();
        let missing = missing.iter().filter(|(account, _)| *account == id);
        Ok(Response::new(ListMissingScopesResponse {
            missing_scopes: missing.map(|(_, scope)| scope.clone()).collect(),
        }))
    }
}
