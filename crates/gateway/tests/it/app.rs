//! A pipeline with one environment and bearer tokens that say what they are.

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use keystead_authz::{AuthError, Caller, Credentials};
use keystead_gateway::{
    Gateway, Pipeline, RequestId, Wiring,
    authenticate::{Admission, Authenticate, Held},
    contract::CallerKinds,
};
use keystead_identity::environments::{AuthenticationMode, Environment, EnvironmentKind, Site};
use keystead_proto::v1::organizations::{
    self as pb,
    organization_service_server::{OrganizationService, OrganizationServiceServer},
};
use keystead_store::entities::Region;
use keystead_types::{EnvironmentId, Id, Internal, Rng, Timestamp, WorkspaceId};
use serde_json::Value as Json;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tokio::sync::Notify;
use tonic::{Status, body::Body, service::Routes};

pub(crate) const HOST: &str = "acme.test";

#[derive(Debug)]
pub(crate) struct Counter(Mutex<u8>);

impl Rng for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        let mut next = self.0.lock().unwrap();
        *next = next.wrapping_add(1);
        buffer.fill(*next);
    }
}

/// What the method was told about its caller.
#[derive(Clone)]
pub(crate) struct Seen(pub(crate) String);

/// Tokens look like `CLIENT|organizations:read;organizations:write`.
struct SpeakingTokens;

impl Authenticate for SpeakingTokens {
    fn site<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Option<Arc<Site>>, Internal>> {
        let known = [HOST, "localhost", "127.0.0.1"].contains(&host);
        let site = Site {
            environment: Environment {
                id: EnvironmentId::from_number(1),
                workspace: WorkspaceId::from_number(1),
                display_name: "Acme".to_owned(),
                domain: HOST.to_owned(),
                kind: EnvironmentKind::Development,
                region: Region::Us,
                authentication_mode: AuthenticationMode::Modular,
                created_at: Timestamp::EPOCH,
                updated_at: Timestamp::EPOCH,
            },
            base_url: format!("https://{HOST}"),
        };
        async move { Ok(known.then(|| Arc::new(site))) }.boxed()
    }

    fn authenticate<'a>(
        &'a self,
        site: &'a Site,
        credentials: &'a Credentials,
        id: &'a RequestId,
    ) -> BoxFuture<'a, Result<Admission, AuthError>> {
        let cookies = credentials
            .session_cookie
            .iter()
            .chain(&credentials.portal_cookie);
        let all = credentials.bearers.iter().chain(cookies);
        let found = all
            .filter_map(|token| token.expose().split_once('|'))
            .find_map(|(kind, permissions)| {
                let (kind, name) = CallerKinds::CREDENTIALS
                    .iter()
                    .find(|(_, name)| *name == kind)?;
                let mut admission = Admission {
                    kind: *kind,
                    subject: (*name).to_owned(),
                    permissions: Held::these(permissions.split(';').map(str::to_owned)),
                    ..self.anonymous(site, id)
                };
                admission.extensions.insert(Seen((*name).to_owned()));
                Some(admission)
            });
        async move { found.ok_or(AuthError::Unauthenticated) }.boxed()
    }

    fn anonymous(&self, site: &Site, _: &RequestId) -> Admission {
        Caller::anonymous(site.environment.id, site.environment.workspace).into()
    }
}

/// Holds calls to create the organization `wait` until they are let go.
#[derive(Default)]
pub(crate) struct Hold {
    /// Notified when a call has begun.
    pub(crate) begun: Notify,
    /// Notify it to let one call end.
    pub(crate) go: Notify,
    /// Notified when a call goes on after that.
    pub(crate) ended: Notify,
}

/// Answers with what it was sent.
pub(crate) struct Echo(Arc<Hold>);

#[tonic::async_trait]
impl OrganizationService for Echo {
    async fn create_organization(
        &self,
        request: tonic::Request<pb::CreateOrganizationRequest>,
    ) -> Result<tonic::Response<pb::CreateOrganizationResponse>, Status> {
        assert!(
            request.metadata().get("authorization").is_none(),
            "the credential stops at the gateway"
        );
        let caller = request.extensions().get::<Seen>().unwrap().0.clone();
        let given = request.into_inner().organization.unwrap();
        if given.display_name == "wait" {
            self.0.begun.notify_one();
            self.0.go.notified().await;
            self.0.ended.notify_one();
        }
        if given.display_name.starts_with("taken") {
            let text = format!("an organization `{}` exists", given.display_name);
            return Err(Status::already_exists(text));
        }
        let organization = pb::Organization {
            id: "org_1".to_owned(),
            display_name: given.display_name,
            metadata: given.metadata,
            external_id: given.external_id,
            create_time: Some(prost_types::Timestamp {
                seconds: 1_790_000_000,
                nanos: 250_000_000,
            }),
            ..Default::default()
        };
        let mut response = tonic::Response::new(pb::CreateOrganizationResponse {
            organization: Some(organization),
        });
        response
            .metadata_mut()
            .insert("x-caller", caller.parse().unwrap());
        Ok(response)
    }

    async fn update_organization(
        &self,
        request: tonic::Request<pb::UpdateOrganizationRequest>,
    ) -> Result<tonic::Response<pb::UpdateOrganizationResponse>, Status> {
        // The id and the mask come back in fields that show them.
        let request = request.into_inner();
        let Some(pb::update_organization_request::Identities::Id(id)) = request.identities else {
            panic!()
        };
        let organization = pb::Organization {
            id,
            display_name: request.update_mask.unwrap_or_default().paths.join(","),
            ..Default::default()
        };
        Ok(tonic::Response::new(pb::UpdateOrganizationResponse {
            organization: Some(organization),
        }))
    }

    async fn list_organization(
        &self,
        request: tonic::Request<pb::ListOrganizationsRequest>,
    ) -> Result<tonic::Response<pb::ListOrganizationsResponse>, Status> {
        let request = request.into_inner();
        Ok(tonic::Response::new(pb::ListOrganizationsResponse {
            total_size: request.page_size,
            next_page_token: request.page_token,
            ..Default::default()
        }))
    }

    async fn delete_organization(
        &self,
        _: tonic::Request<pb::DeleteOrganizationRequest>,
    ) -> Result<tonic::Response<()>, Status> {
        Ok(tonic::Response::new(()))
    }

    async fn get_organization(
        &self,
        _: tonic::Request<pb::GetOrganizationRequest>,
    ) -> Result<tonic::Response<pb::GetOrganizationResponse>, Status> {
        Err(Status::internal("SELECT secret FROM organizations"))
    }
}

pub(crate) fn wiring() -> Wiring {
    wiring_with(Arc::default())
}

pub(crate) fn wiring_with(hold: Arc<Hold>) -> Wiring {
    let routes = Routes::new(OrganizationServiceServer::new(Echo(hold)));
    Wiring::new(
        Arc::new(SpeakingTokens),
        Arc::new(Counter(Mutex::new(0))),
        routes,
    )
    .unwrap()
}

pub(crate) fn pipeline() -> Pipeline {
    Pipeline::new(wiring()).unwrap()
}

pub(crate) fn gateway(pipeline: Pipeline) -> Gateway {
    let pages = tower::service_fn(|request: Request<Body>| async move {
        let text = format!("page {}", request.uri().path());
        // Whether it came whole does not matter to these pages.
        let _ = request.into_body().collect().await;
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
    });
    Gateway::new(pipeline, pages).unwrap()
}

/// A REST answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Json,
}

impl Answer {
    /// Status and body in one line.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.json)
    }

    /// Status and message of an error.
    pub(crate) fn problem(&self) -> String {
        format!(
            "{} {}",
            self.status.as_u16(),
            self.json["message"].as_str().unwrap_or("no message")
        )
    }
}

pub(crate) const ALL: &str = "CLIENT|organizations:read;organizations:write;organizations:delete";

/// Sends a REST request with `token` (none when empty).
pub(crate) async fn send(
    gateway: &Gateway,
    verb: &str,
    path: &str,
    token: &str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut request = Request::builder()
        .method(verb)
        .uri(path)
        .header("host", HOST);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    answer(gateway, request.body(Full::new(body.into())).unwrap()).await
}

pub(crate) async fn answer(gateway: &Gateway, request: Request<Full<Bytes>>) -> Answer {
    let (parts, body) = gateway.handle(request).await.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let json = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Json::String(String::from_utf8_lossy(&bytes).into_owned()));
    Answer {
        status: parts.status,
        headers: parts.headers,
        json,
    }
}
