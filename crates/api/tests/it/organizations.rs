use crate::fixture::{Server, reason, sent_by};
use keystead_authz::Caller;
use keystead_proto::v1::{
    commons::RegionCode,
    environments::{self as env_pb, environment_service_client::EnvironmentServiceClient},
    organizations::{
        self as pb, delete_organization_request as delete, get_organization_request as get,
        organization_service_client::OrganizationServiceClient,
        update_organization_request as update,
    },
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use std::collections::HashMap;
use tonic::{Code, service::Routes, service::interceptor::InterceptedService};

type Client<F> = OrganizationServiceClient<InterceptedService<Routes, F>>;

macro_rules! client {
    ($server:expr, $caller:expr) => {
        OrganizationServiceClient::with_interceptor($server.routes(), sent_by($caller))
    };
}

fn new(display_name: &str, external_id: Option<&str>) -> pb::CreateOrganizationRequest {
    let organization = pb::CreateOrganization {
        display_name: display_name.to_owned(),
        external_id: external_id.map(str::to_owned),
        ..pb::CreateOrganization::default()
    };
    pb::CreateOrganizationRequest {
        organization: Some(organization),
    }
}

fn by_id(id: &str) -> pb::GetOrganizationRequest {
    pb::GetOrganizationRequest {
        identities: Some(get::Identities::Id(id.to_owned())),
    }
}

async fn create<F>(
    client: &mut Client<F>,
    request: pb::CreateOrganizationRequest,
) -> pb::Organization
where
    F: FnMut(tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status>
        + Send
        + Clone
        + 'static,
{
    client
        .create_organization(request)
        .await
        .unwrap()
        .into_inner()
        .organization
        .unwrap()
}

async fn staging(server: &Server, member: &Caller) -> Caller {
    let mut client = EnvironmentServiceClient::with_interceptor(server.routes(), sent_by(member));
    let environment = env_pb::CreateEnvironment {
        display_name: "Staging".to_owned(),
        ..Default::default()
    };
    let request = env_pb::CreateEnvironmentRequest {
        environment: Some(environment),
    };
    let created = client
        .create_environment(request)
        .await
        .unwrap()
        .into_inner()
        .environment
        .unwrap();
    let site = server
        .ctx
        .site(created.id.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    server.client_of(&site.environment).await
}

on_both_engines! {
    /// DR-001, DR-007, DR-012
    async fn an_organization_is_created_and_read_back(test: TestDb) {
        let server = Server::started(&test).await;
        let mut client = client!(server, &server.client().await);
        let mut request = new("Acme", Some("ext-1"));
        let wanted = request.organization.as_mut().unwrap();
        wanted.metadata = HashMap::from([("plan".to_owned(), "pro".to_owned())]);
        wanted.region_code = RegionCode::Eu as i32;
        wanted.slug = Some("acme".to_owned());
        let created = create(&mut client, request).await;
        assert!(created.id.starts_with("org_"));
        assert_eq!((created.region_code, created.slug.as_deref()), (RegionCode::Eu as i32, Some("acme")));
        let features: Vec<_> = created.settings.as_ref().unwrap().features.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(features, ["sso", "dir_sync"]);

        let read = client.get_organization(by_id(&created.id)).await.unwrap().into_inner();
        assert_eq!(read.organization.as_ref(), Some(&created));
        let external = pb::GetOrganizationRequest { identities: Some(get::Identities::ExternalId("ext-1".to_owned())) };
        let read = client.get_organization_by_external_id(external).await.unwrap().into_inner();
        assert_eq!(read.organization, Some(created.clone()));
        let refused = client.get_organization_by_external_id(by_id(&created.id)).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "ExternalId is required"));
    }

    /// DR 4.1
    async fn failures_carry_the_codes_the_clients_expect(test: TestDb) {
        let server = Server::started(&test).await;
        let mut client = client!(server, &server.client().await);
        create(&mut client, new("Acme", Some("ext-1"))).await;
        let duplicate = client.create_organization(new("Acme", Some("ext-1"))).await.unwrap_err();
        assert_eq!(reason(&duplicate), (Code::InvalidArgument, "INVALID_ARGUMENT".to_owned()));
        for id in ["org_123456789012345678", "org_x", "conn_1"] {
            let missing = client.get_organization(by_id(id)).await.unwrap_err();
            assert_eq!(reason(&missing), (Code::NotFound, "NOT_FOUND".to_owned()), "{id}");
            assert!(missing.message().contains("not found"));
        }
        let request = pb::ListOrganizationsRequest { page_token: "junk".to_owned(), ..Default::default() };
        let bad = client.list_organization(request).await.unwrap_err();
        assert_eq!(reason(&bad), (Code::InvalidArgument, "INVALID_PAGE_TOKEN".to_owned()));
        let nobody = pb::GetOrganizationRequest { identities: None };
        assert_eq!(client.get_organization(nobody).await.unwrap_err().code(), Code::InvalidArgument);
    }

    /// DR-006, DR-007, DR-012
    async fn an_organization_is_changed_by_either_id(test: TestDb) {
        let server = Server::started(&test).await;
        let mut client = client!(server, &server.client().await);
        let created = create(&mut client, new("Acme", Some("ext-1"))).await;
        server.tick();
        let change = |change: pb::UpdateOrganization, mask: &[&str]| pb::UpdateOrganizationRequest {
            identities: Some(update::Identities::ExternalId("ext-1".to_owned())),
            organization: Some(change),
            update_mask: (!mask.is_empty())
                .then(|| prost_types::FieldMask { paths: mask.iter().map(|path| (*path).to_owned()).collect() }),
        };
        let renamed = pb::UpdateOrganization { display_name: Some("Acme 2".to_owned()), slug: Some("acme".to_owned()), ..Default::default() };
        let changed = client.update_organization(change(renamed, &[])).await.unwrap().into_inner().organization.unwrap();
        assert_eq!((changed.display_name.as_str(), changed.id.as_str()), ("Acme 2", created.id.as_str()));
        let cleared = client.update_organization(change(pb::UpdateOrganization::default(), &["slug"])).await.unwrap().into_inner();
        assert_eq!(cleared.organization.unwrap().slug, None);
        let unknown = client.update_organization(change(pb::UpdateOrganization::default(), &["region_code"])).await.unwrap_err();
        assert_eq!(unknown.code(), Code::InvalidArgument);

        let settings = pb::OrganizationSettings { features: vec![pb::OrganizationSettingsFeature { name: "scim".to_owned(), enabled: true }] };
        let request = pb::UpdateOrganizationSettingsRequest { id: created.id.clone(), settings: Some(settings) };
        let switched = client.update_organization_settings(request).await.unwrap().into_inner().organization.unwrap();
        let on: Vec<_> = switched.settings.unwrap().features.into_iter().filter(|one| one.enabled).map(|one| one.name).collect();
        assert_eq!(on, ["dir_sync"]);
    }

    /// DR-008, DR-009: an SDK that sends no page size gets the default page.
    async fn organizations_are_listed_and_searched(test: TestDb) {
        let server = Server::started(&test).await;
        let mut client = client!(server, &server.client().await);
        for number in 0..31 {
            server.tick();
            create(&mut client, new(&format!("Company {number}"), None)).await;
        }
        let first = client.list_organization(pb::ListOrganizationsRequest::default()).await.unwrap().into_inner();
        assert_eq!((first.organizations.len(), first.total_size), (30, 31));
        assert_eq!(first.organizations[0].display_name, "Company 30");
        let request = pb::ListOrganizationsRequest { page_token: first.next_page_token, ..Default::default() };
        let second = client.list_organization(request).await.unwrap().into_inner();
        assert_eq!((second.organizations.len(), second.next_page_token.as_str()), (1, ""));

        let search = |query: &str| pb::SearchOrganizationsRequest { query: query.to_owned(), ..Default::default() };
        let found = client.search_organization(search("pany 1")).await.unwrap().into_inner();
        assert_eq!((found.organizations.len(), found.total_size), (10, 11));
        let none = client.search_organization(search("nothing")).await.unwrap().into_inner();
        assert_eq!((none.organizations.len(), none.total_size), (0, 0));
    }

    /// DR-002, part of DR-010
    async fn a_deleted_organization_can_be_created_again(test: TestDb) {
        let server = Server::started(&test).await;
        let mut client = client!(server, &server.client().await);
        let created = create(&mut client, new("Acme", Some("ext-1"))).await;
        let request = pb::DeleteOrganizationRequest { identities: Some(delete::Identities::Id(created.id.clone())) };
        client.delete_organization(request.clone()).await.unwrap();
        assert_eq!(client.delete_organization(request).await.unwrap_err().code(), Code::NotFound);
        assert_ne!(create(&mut client, new("Acme", Some("ext-1"))).await.id, created.id);
    }

    /// DR 4.3: what belongs to another environment does not exist.
    async fn another_environment_sees_nothing(test: TestDb) {
        let server = Server::started(&test).await;
        let created = create(&mut client!(server, &server.client().await), new("Acme", Some("ext-1"))).await;
        let stranger = staging(&server, &server.member().await).await;
        let mut client = client!(server, &stranger);
        assert_eq!(client.get_organization(by_id(&created.id)).await.unwrap_err().code(), Code::NotFound);
        let request = pb::DeleteOrganizationRequest { identities: Some(delete::Identities::ExternalId("ext-1".to_owned())) };
        assert_eq!(client.delete_organization(request).await.unwrap_err().code(), Code::NotFound);
        let listed = client.list_organization(pb::ListOrganizationsRequest::default()).await.unwrap().into_inner();
        assert_eq!((listed.organizations.len(), listed.total_size), (0, 0));
    }

    /// The gateway lets nobody through without a caller; should it ever, no method answers.
    async fn without_a_caller_no_method_answers(test: TestDb) {
        let server = Server::started(&test).await;
        let mut client = OrganizationServiceClient::new(server.routes());
        let refused = client.list_organization(pb::ListOrganizationsRequest::default()).await.unwrap_err();
        assert_eq!(reason(&refused), (Code::Unauthenticated, "UNAUTHENTICATED".to_owned()));
    }
}
