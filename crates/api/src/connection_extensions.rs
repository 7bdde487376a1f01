//! `ConnectionExtensionService`: what the contract of the client libraries does not have.

use crate::{
    App,
    convert::{connected_accounts, connections as convert, time, total},
    request::{Reply, open},
    status::failed,
};
use keystead_agentkit::connections::{CallFigures, ConnectionHealth, TestRun};
use keystead_proto::extensions::{
    self as pb, connection_extension_service_server::ConnectionExtensionService,
};
use tonic::{Request, Response, async_trait};

pub(crate) struct ConnectionExtensions(pub(crate) App);

#[async_trait]
impl ConnectionExtensionService for ConnectionExtensions {
    async fn get_connection_health(
        &self,
        request: Request<pb::GetConnectionHealthRequest>,
    ) -> Reply<pb::GetConnectionHealthResponse> {
        let (caller, message) = open(request)?;
        let id = convert::id(&message.connection_id).map_err(failed)?;
        let health = self.0.agentkit.connection_health(caller.env(), id).await;
        Ok(Response::new(shown(health.map_err(failed)?)))
    }

    async fn test_connection(
        &self,
        request: Request<pb::TestConnectionRequest>,
    ) -> Reply<pb::TestConnectionResponse> {
        let (caller, message) = open(request)?;
        let id = convert::id(&message.connection_id).map_err(failed)?;
        let (env, actor) = (caller.env(), caller.actor());
        let kit = &self.0.agentkit;
        let started = kit.test_connection(env, &actor, id, message.identifier);
        let started = started.await.map_err(failed)?;
        let link = started.link.as_ref();
        Ok(Response::new(pb::TestConnectionResponse {
            test_request_id: started.id.to_string(),
            link: link.map_or_else(String::new, |link| link.url.expose().clone()),
            expiry: link.and_then(|link| time(link.expires_at)),
        }))
    }

    async fn delete_connection_with_accounts(
        &self,
        request: Request<pb::DeleteConnectionWithAccountsRequest>,
    ) -> Reply<pb::DeleteConnectionWithAccountsResponse> {
        let (caller, message) = open(request)?;
        // SECURITY: it takes the accounts of all users at once, so a person has to want it.
        caller.require_member().map_err(failed)?;
        let id = convert::id(&message.connection_id).map_err(failed)?;
        let (env, actor) = (caller.env(), caller.actor());
        let deleted = self.0.agentkit.force_delete_connection(env, &actor, id);
        deleted.await.map_err(failed)?;
        Ok(Response::new(pb::DeleteConnectionWithAccountsResponse {}))
    }

    async fn list_platform_credentials(
        &self,
        request: Request<pb::ListPlatformCredentialsRequest>,
    ) -> Reply<pb::ListPlatformCredentialsResponse> {
        open(request)?;
        let apps = self.0.agentkit.platform_apps();
        Ok(Response::new(pb::ListPlatformCredentialsResponse {
            provider_keys: apps.keys().cloned().collect(),
        }))
    }
}

fn shown(health: ConnectionHealth) -> pb::GetConnectionHealthResponse {
    let accounts = health.accounts.into_iter();
    let accounts = accounts.map(|(status, count)| pb::AccountTally {
        status: connected_accounts::status(status),
        total: total(count),
    });
    let scopes = health.lacking_scopes.into_iter();
    let scopes = scopes.map(|(scope, count)| pb::ScopeTally {
        scope,
        total: total(count),
    });
    let errors = health.last_errors.into_iter().map(|call| pb::FailedCall {
        execution_id: call.execution_id.to_string(),
        connected_account_id: call.account_id.to_string(),
        tool_name: call.tool_name,
        http_status: call.http_status.and_then(|code| u32::try_from(code).ok()),
        error_code: call.error_code,
        started_at: time(call.started_at),
    });
    pb::GetConnectionHealthResponse {
        accounts: accounts.collect(),
        lacking_scopes: scopes.collect(),
        refreshes_succeeded: total(health.refreshes_succeeded),
        refreshes_failed: total(health.refreshes_failed),
        calls: Some(figures(&health.calls)),
        last_errors: errors.collect(),
        rate_limit_per_minute: health.rate_limit.map(|limit| limit.per_minute),
        last_test: health.last_test.map(test),
    }
}

fn figures(calls: &CallFigures) -> pb::CallFigures {
    pb::CallFigures {
        count: total(calls.count),
        failed: total(calls.failed),
        since: calls.since.and_then(time),
        p50_ms: calls.p50.as_secs_f64() * 1000.0,
        p95_ms: calls.p95.as_secs_f64() * 1000.0,
    }
}

fn test(run: TestRun) -> pb::ConnectionTest {
    pb::ConnectionTest {
        id: run.id.to_string(),
        status: convert::test_status(run.status),
        error: run.error,
        error_description: run.error_description,
        started_at: time(run.started_at),
        finished_at: run.finished_at.and_then(time),
    }
}
