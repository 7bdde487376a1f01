use crate::{
    connections::{connection, gmail},
    fixture::{World, details, object, refused},
};
use keystead_proto::v1::{
    connected_accounts::{
        AuthorizationDetails, ConnectedAccount, CreateConnectedAccount,
        CreateConnectedAccountRequest, DeleteConnectedAccountRequest,
        DisconnectConnectedAccountRequest, GetConnectedAccountByIdentifierRequest,
        GetConnectedAccountRequest, GetMagicLinkForConnectedAccountRequest,
        ListConnectedAccountsRequest, OauthToken, ScopeSelection, SearchConnectedAccountsRequest,
        StaticAuth, UpdateConnectedAccount, UpdateConnectedAccountRequest,
        VerifyConnectedAccountUserRequest, authorization_details::Details,
    },
    connections::{ConnectionType, GetEnvironmentConnectionRequest},
    providers::ListProvidersRequest,
};
use keystead_store::audit_records;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Timestamp;
use serde_json::json;

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn tokens() -> Option<AuthorizationDetails> {
    Some(AuthorizationDetails {
        details: Some(Details::OauthToken(OauthToken {
            access_token: "s3cr3t-access".to_owned(),
            refresh_token: String::new(),
            scopes: vec!["made.up".to_owned()],
            domain: String::new(),
        })),
    })
}

fn static_auth(json: serde_json::Value) -> Option<AuthorizationDetails> {
    Some(AuthorizationDetails {
        details: Some(Details::StaticAuth(StaticAuth {
            details: Some(object(json)),
        })),
    })
}

fn new(
    connector: &str,
    identifier: &str,
    credential: Option<AuthorizationDetails>,
) -> CreateConnectedAccountRequest {
    CreateConnectedAccountRequest {
        connector: text(connector),
        identifier: text(identifier),
        connected_account: Some(CreateConnectedAccount {
            authorization_details: credential,
            api_config: Some(object(json!({ "any": { "key": [1, null] } }))),
        }),
        ..CreateConnectedAccountRequest::default()
    }
}

fn named(connector: &str, identifier: &str) -> GetConnectedAccountByIdentifierRequest {
    GetConnectedAccountByIdentifierRequest {
        connector: text(connector),
        identifier: text(identifier),
        ..GetConnectedAccountByIdentifierRequest::default()
    }
}

fn by_id(id: &str) -> GetConnectedAccountRequest {
    GetConnectedAccountRequest { id: id.to_owned() }
}

async fn created(world: &World, request: CreateConnectedAccountRequest) -> ConnectedAccount {
    let made = world
        .client(&world.home)
        .accounts()
        .create_connected_account(request)
        .await;
    made.unwrap().into_inner().connected_account.unwrap()
}

on_both_engines! {
    /// AK-201, AK-203, AK-205, AK-206, section 5 items 10, 11, 25 and 26
    async fn only_the_credential_read_shows_a_credential(test: TestDb) {
        let world = World::started(&test).await;
        gmail(&world, "mail").await;
        let account = created(&world, new("mail", "ada", tokens())).await;
        assert_eq!((account.status, account.authorization_type), (1, 1));
        assert_eq!(account.authorization_details, Some(AuthorizationDetails::default()));
        assert_eq!(account.api_config, Some(object(json!({ "any": { "key": [1, null] } }))));
        assert_eq!((account.token_expires_at, account.last_used_at), (None, None));
        assert_eq!((account.connector.as_str(), account.provider.as_str()), ("mail", "GMAIL"));

        let mut accounts = world.client(&world.home).accounts();
        let read = accounts.get_connected_account_auth(named("mail", "ada")).await.unwrap().into_inner();
        assert_eq!(read.connected_account.unwrap().authorization_details, tokens());

        let described = accounts.get_connected_account_details(named("mail", "ada")).await.unwrap().into_inner();
        let described = described.connected_account.unwrap();
        assert_eq!(described.authorization_details, None);
        assert!(described.api_config.is_some());
        let shown = accounts.get_connected_account(by_id(&account.id)).await.unwrap().into_inner();
        let Some(Details::OauthToken(shown)) = shown.connected_account.unwrap().authorization_details.unwrap().details else {
            panic!("no scopes");
        };
        assert_eq!(shown, OauthToken { scopes: vec!["made.up".to_owned()], ..OauthToken::default() });

        let listed = accounts.list_connected_accounts(ListConnectedAccountsRequest::default()).await.unwrap().into_inner();
        assert!(!format!("{listed:?}").contains("s3cr3t"));
        let (_, json) = world.rest("GET", "/api/v1/connected_accounts?page_size=20", &json!(null)).await;
        let row = json["connected_accounts"][0].as_object().unwrap();
        assert!(!row.contains_key("authorization_details") && !row.contains_key("api_config"), "{json}");
    }

    /// AK-119: whoever reads a credential is on record, by name and request; what shows none leaves none.
    async fn reading_a_credential_is_audited(test: TestDb) {
        let world = World::started(&test).await;
        gmail(&world, "mail").await;
        let account = created(&world, new("mail", "ada", tokens())).await;
        let mut client = world.client(&world.home).accounts();
        let mut member = world.member().await.accounts();
        for _ in 0..2 {
            client.get_connected_account_auth(named("mail", "ada")).await.unwrap();
        }
        member.get_connected_account_auth(named("mail", "ada")).await.unwrap();
        client.get_connected_account_details(named("mail", "ada")).await.unwrap();
        client.get_connected_account(by_id(&account.id)).await.unwrap();
        client.list_connected_accounts(ListConnectedAccountsRequest::default()).await.unwrap();
        assert!(client.get_connected_account_auth(named("mail", "bob")).await.is_err());

        let env = world.home.site.environment.id;
        let end = Timestamp::from_micros(i64::MAX);
        let rows = audit_records::latest(&mut world.ctx.db.read(env), end, "~", 100).await.unwrap();
        let read: Vec<_> = rows.iter().filter(|row| row.action == "connected_account.credential_read").collect();
        let mut actors: Vec<&str> = read.iter().map(|row| row.actor.split('_').next().unwrap()).collect();
        actors.sort_unstable();
        assert_eq!(actors, ["mem", "skc", "skc"]);
        assert!(read.iter().all(|row| row.target == account.id && !row.request_id.is_empty() && row.outcome == "success"));
        assert!(!format!("{rows:?}").contains("s3cr3t"));
    }

    /// AK-202, quirk 9 and 25: an empty credential means that there is none yet.
    async fn an_account_without_credential_waits(test: TestDb) {
        let world = World::started(&test).await;
        connection(&world, "FRESHDESK", ConnectionType::Basic, "desk").await;
        let empty_token = Some(AuthorizationDetails { details: Some(Details::OauthToken(OauthToken::default())) });
        for (at, nothing) in [None, Some(AuthorizationDetails::default()), empty_token].into_iter().enumerate() {
            let account = created(&world, new("desk", &format!("user-{at}"), nothing)).await;
            assert_eq!(account.status, 3);
            assert_eq!(account.authorization_type, 6);
            assert_eq!(account.authorization_details, Some(AuthorizationDetails::default()));
        }
        let mut accounts = world.client(&world.home).accounts();
        let read = accounts.get_connected_account_auth(named("desk", "user-0")).await.unwrap().into_inner();
        assert_eq!(read.connected_account.unwrap().authorization_details, Some(AuthorizationDetails::default()));
    }

    /// AK-204, AK-211 and the nesting of the Python client
    async fn static_credentials_are_checked_merged_and_handed_out(test: TestDb) {
        let world = World::started(&test).await;
        connection(&world, "FRESHDESK", ConnectionType::Basic, "desk").await;
        let mut accounts = world.client(&world.home).accounts();
        let partial = accounts.create_connected_account(new("desk", "ada", static_auth(json!({ "domain": "a.freshdesk.com" })))).await;
        let broken = details(partial.as_ref().unwrap_err()).validation_error_info.unwrap().field_violations;
        assert!(broken[0].field.ends_with("username"), "{broken:?}");
        assert_eq!(refused(partial), "INVALID_ARGUMENT");
        let mismatch = accounts.create_connected_account(new("desk", "ada", tokens())).await;
        assert_eq!(refused(mismatch), "AUTH_TYPE_MISMATCH");

        let nested = static_auth(json!({ "details": { "domain": "a.freshdesk.com", "username": "key" } }));
        let account = created(&world, new("desk", "ada", nested)).await;
        assert_eq!(account.status, 1);
        let update = UpdateConnectedAccountRequest {
            id: Some(account.id.clone()),
            connected_account: Some(UpdateConnectedAccount {
                authorization_details: static_auth(json!({ "username": "other", "domain": "" })),
                api_config: Some(object(json!({ "any": null, "version": "v2" }))),
            }),
            ..UpdateConnectedAccountRequest::default()
        };
        let updated = accounts.update_connected_account(update).await.unwrap().into_inner().connected_account.unwrap();
        assert_eq!(updated.authorization_details, Some(AuthorizationDetails::default()));
        assert_eq!(updated.api_config, Some(object(json!({ "version": "v2" }))));
        let read = accounts.get_connected_account_auth(named("desk", "ada")).await.unwrap().into_inner();
        assert_eq!(
            read.connected_account.unwrap().authorization_details,
            static_auth(json!({ "domain": "a.freshdesk.com", "username": "other" }))
        );
    }

    /// AK-102, AK-201, AK-207, AK-208, AK-212
    async fn addresses_that_do_not_lead_to_one_account(test: TestDb) {
        let world = World::started(&test).await;
        gmail(&world, "mail").await;
        let mut accounts = world.client(&world.home).accounts();
        assert_eq!(refused(accounts.get_connected_account_auth(named("mail", "ada")).await), "CONNECTED_ACCOUNT_NOT_FOUND");
        let unknown = accounts.get_connected_account_auth(named("nope", "ada")).await;
        assert!(unknown.as_ref().unwrap_err().message().contains("connection not found"));
        assert_eq!(refused(unknown), "CONNECTION_NOT_FOUND");
        let nothing = GetConnectedAccountByIdentifierRequest::default();
        assert_eq!(refused(accounts.get_connected_account_details(nothing).await), "INVALID_ARGUMENT");
        assert_eq!(refused(accounts.get_connected_account(by_id("")).await), "INVALID_ARGUMENT");

        let in_organization = |id: &str| CreateConnectedAccountRequest {
            organization_id: text(id),
            ..new("mail", "ada", None)
        };
        created(&world, in_organization("org_1")).await;
        let again = accounts.create_connected_account(in_organization("org_1")).await;
        assert_eq!(refused(again), "ALREADY_EXISTS");
        created(&world, in_organization("org_2")).await;
        assert_eq!(refused(accounts.get_connected_account_auth(named("mail", "ada")).await), "AMBIGUOUS_CONNECTED_ACCOUNT");
        let exact = GetConnectedAccountByIdentifierRequest { organization_id: text("org_2"), ..named("mail", "ada") };
        accounts.get_connected_account_auth(exact).await.unwrap();
    }

    /// AK-209, AK-210
    async fn accounts_are_filtered_searched_and_paged(test: TestDb) {
        let world = World::started(&test).await;
        gmail(&world, "mail").await;
        connection(&world, "FRESHDESK", ConnectionType::Basic, "desk").await;
        for (connector, identifier) in [("mail", "ada"), ("mail", "grace"), ("desk", "ada")] {
            created(&world, new(connector, identifier, None)).await;
        }
        let mut accounts = world.client(&world.home).accounts();
        let by_connector = ListConnectedAccountsRequest { connector: text("mail"), page_size: 1, ..Default::default() };
        let first = accounts.list_connected_accounts(by_connector.clone()).await.unwrap().into_inner();
        assert_eq!((first.total_size, first.connected_accounts.len()), (2, 1));
        assert!(!first.next_page_token.is_empty() && first.next_page_token.len() <= 32);
        let next = ListConnectedAccountsRequest { page_token: first.next_page_token.clone(), ..by_connector };
        let second = accounts.list_connected_accounts(next).await.unwrap().into_inner();
        assert_ne!(first.connected_accounts[0].id, second.connected_accounts[0].id);
        assert!(second.next_page_token.is_empty());
        let elsewhere = ListConnectedAccountsRequest { page_token: first.next_page_token, ..Default::default() };
        assert_eq!(refused(accounts.list_connected_accounts(elsewhere).await), "INVALID_PAGE_TOKEN");

        let both = ListConnectedAccountsRequest {
            connector: text("mail"),
            connection_names: vec!["desk".to_owned()],
            ..Default::default()
        };
        assert_eq!(refused(accounts.list_connected_accounts(both).await), "INVALID_ARGUMENT");
        let search = SearchConnectedAccountsRequest { query: "GRA".to_owned(), ..Default::default() };
        let found = accounts.search_connected_accounts(search).await.unwrap().into_inner();
        assert_eq!(found.connected_accounts.iter().map(|row| row.identifier.as_str()).collect::<Vec<_>>(), ["grace"]);
    }

    /// Part of AK-213, AK-214
    async fn disconnecting_is_repeatable_and_deleting_is_not(test: TestDb) {
        let world = World::started(&test).await;
        gmail(&world, "mail").await;
        let account = created(&world, new("mail", "ada", tokens())).await;
        let mut accounts = world.client(&world.home).accounts();
        for _ in 0..2 {
            let request = DisconnectConnectedAccountRequest { id: account.id.clone() };
            let answer = accounts.disconnect_connected_account(request).await.unwrap().into_inner();
            assert_eq!(answer.connected_account.unwrap().status, 5);
        }
        assert!(!world.stored(&account.id).await.credential.is_usable(keystead_agentkit::providers::AuthKind::Oauth));
        let delete = || DeleteConnectedAccountRequest { id: Some(account.id.clone()), ..Default::default() };
        accounts.delete_connected_account(delete()).await.unwrap();
        assert_eq!(refused(accounts.delete_connected_account(delete()).await), "CONNECTED_ACCOUNT_NOT_FOUND");
    }

    /// AK-300, part of AK-302, part of AK-303, part of AK-121
    async fn a_link_is_made_for_an_account_that_does_not_exist_yet(test: TestDb) {
        let world = World::started(&test).await;
        let ready = gmail(&world, "mail").await;
        let link = || GetMagicLinkForConnectedAccountRequest {
            connector: text("mail"),
            identifier: text("ada"),
            ..Default::default()
        };
        let mut accounts = world.client(&world.home).accounts();
        let made = accounts.get_magic_link_for_connected_account(link()).await.unwrap().into_inner();
        assert!(made.link.starts_with("https://localhost:8443/oauth/connect?token="), "{}", made.link);
        assert!(made.link.contains("&state="));
        assert_eq!(made.expiry.unwrap().seconds, Timestamp::from_secs(1_790_000_000 + 3600).as_secs());
        let account = accounts.get_connected_account_details(named("mail", "ada")).await.unwrap().into_inner();
        assert_eq!(account.connected_account.unwrap().status, 3);

        let off = keystead_proto::v1::connections::ToggleEnvironmentConnectionRequest { connection_id: ready.id };
        world.client(&world.home).connections().disable_environment_connection(off).await.unwrap();
        assert_eq!(refused(accounts.get_magic_link_for_connected_account(link()).await), "CONNECTION_NOT_ENABLED");
    }

    /// Section 5 item 18
    async fn an_unknown_verification_has_the_text_the_client_looks_for(test: TestDb) {
        let world = World::started(&test).await;
        let request = VerifyConnectedAccountUserRequest { auth_request_id: "unknown".to_owned(), identifier: "ada".to_owned() };
        let answer = world.client(&world.home).accounts().verify_connected_account_user(request).await;
        assert_eq!(answer.as_ref().unwrap_err().message(), "auth request not found or no longer valid");
        assert_eq!(refused(answer), "AUTH_REQUEST_NOT_FOUND");
    }

    async fn accounts_belong_to_their_environment(test: TestDb) {
        let world = World::started(&test).await;
        gmail(&world, "mail").await;
        let account = created(&world, new("mail", "ada", tokens())).await;
        let mut stranger = world.client(&world.other).accounts();
        assert_eq!(refused(stranger.get_connected_account(by_id(&account.id)).await), "CONNECTED_ACCOUNT_NOT_FOUND");
        assert_eq!(refused(stranger.get_connected_account_auth(named("mail", "ada")).await), "CONNECTION_NOT_FOUND");
        let by_account = GetConnectedAccountByIdentifierRequest { id: Some(account.id.clone()), ..Default::default() };
        assert_eq!(refused(stranger.get_connected_account_auth(by_account).await), "CONNECTED_ACCOUNT_NOT_FOUND");
        let delete = DeleteConnectedAccountRequest { id: Some(account.id.clone()), ..Default::default() };
        assert_eq!(refused(stranger.delete_connected_account(delete).await), "CONNECTED_ACCOUNT_NOT_FOUND");
        let listed = stranger.list_connected_accounts(ListConnectedAccountsRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.total_size, 0);
        assert!(world.stored(&account.id).await.credential.access_token.contains("s3cr3t"), "nothing happened to it");
    }

    /// AK-206, AK-214, part of AK-306, 4.3: a visitor of a connect link reaches one account, and of it no credential.
    async fn a_visitor_is_limited_to_his_account(test: TestDb) {
        let world = World::started(&test).await;
        let mail = gmail(&world, "mail").await;
        let desk = connection(&world, "FRESHDESK", ConnectionType::Basic, "desk").await;
        let own = created(&world, new("mail", "ada", None)).await;
        let foreign = created(&world, new("desk", "grace", None)).await;
        let (_, link) = crate::portal::invited(&world, "ada").await;
        let visitor = world.visitor_of(&own.id, Some(link)).await;
        let mut accounts = visitor.accounts();

        let this = accounts.get_connected_account(by_id("")).await.unwrap().into_inner().connected_account.unwrap();
        assert_eq!(this.id, own.id);
        assert_eq!(refused(accounts.get_connected_account(by_id(&foreign.id)).await), "CONNECTED_ACCOUNT_NOT_FOUND");
        let disconnect = DisconnectConnectedAccountRequest { id: foreign.id.clone() };
        assert_eq!(refused(accounts.disconnect_connected_account(disconnect).await), "CONNECTED_ACCOUNT_NOT_FOUND");
        assert_eq!(refused(accounts.get_connected_account_auth(named("mail", "ada")).await), "PERMISSION_DENIED");

        let change = |id: Option<String>, credential, config: serde_json::Value| UpdateConnectedAccountRequest {
            id,
            connected_account: Some(UpdateConnectedAccount {
                authorization_details: credential,
                api_config: Some(object(config)),
            }),
            ..UpdateConnectedAccountRequest::default()
        };
        let elsewhere = accounts.update_connected_account(change(Some(foreign.id), None, json!({}))).await;
        assert_eq!(refused(elsewhere), "CONNECTED_ACCOUNT_NOT_FOUND");
        // Tokens of another user would skip consent and verification.
        let smuggled = accounts.update_connected_account(change(None, tokens(), json!({}))).await;
        assert_eq!(refused(smuggled), "PERMISSION_DENIED");
        let steered = accounts.update_connected_account(change(None, None, json!({ "base_url": "https://evil.test" }))).await;
        assert_eq!(refused(steered), "INVALID_ARGUMENT");
        let chosen = UpdateConnectedAccountRequest {
            scope_selection: Some(ScopeSelection { scopes: vec!["https://mail.google.com/".to_owned()], optional_scopes: vec![] }),
            ..change(None, None, json!({}))
        };
        accounts.update_connected_account(chosen).await.unwrap();
        assert_eq!(world.stored(&own.id).await.account.scope_selection.as_ref().unwrap().scopes.len(), 1);

        let get = |id: &str| GetEnvironmentConnectionRequest { connection_id: id.to_owned() };
        visitor.connections().get_environment_connection(get(&mail.id)).await.unwrap();
        assert_eq!(refused(visitor.connections().get_environment_connection(get(&desk.id)).await), "CONNECTION_NOT_FOUND");
        let listed = visitor.providers().list_providers(ListProvidersRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.providers.iter().map(|provider| provider.identifier.as_str()).collect::<Vec<_>>(), ["GMAIL"]);
        // `this:disconnect` and `-:disconnect` name no account.
        let own = DisconnectConnectedAccountRequest { id: String::new() };
        let gone = accounts.disconnect_connected_account(own).await.unwrap().into_inner().connected_account.unwrap();
        assert_eq!(gone.status, 5);
    }

    /// AK-305, AK-306, AK-471: a visitor stores what the page asks for, once, and moves no stored secret.
    async fn a_visitor_stores_what_the_page_asks_for(test: TestDb) {
        let world = World::started(&test).await;
        connection(&world, "FRESHDESK", ConnectionType::Basic, "desk").await;
        let (id, link) = crate::portal::invited_to(&world, "desk", "ada").await;
        let details = |details: serde_json::Value| UpdateConnectedAccountRequest {
            connected_account: Some(UpdateConnectedAccount {
                authorization_details: Some(AuthorizationDetails {
                    details: Some(Details::StaticAuth(StaticAuth { details: Some(object(details)) })),
                }),
                api_config: None,
            }),
            ..UpdateConnectedAccountRequest::default()
        };
        let mut visitor = world.visitor_of(&id, Some(link)).await.accounts();
        let full = json!({ "domain": "acme.freshdesk.com", "username": "key", "password": "X" });
        for extra in [json!({ "path_variables": { "domain": "evil.freshdesk.com" } }), json!({ "extra": "1" }), json!({})] {
            assert_eq!(refused(visitor.update_connected_account(details(extra)).await), "INVALID_ARGUMENT");
        }
        visitor.update_connected_account(details(full.clone())).await.unwrap();
        let spent = world.visitor_of(&id, Some(link)).await.accounts().update_connected_account(details(full)).await;
        assert_eq!(refused(spent), "AUTH_REQUEST_NOT_FOUND");

        let (_, link) = crate::portal::invited_to(&world, "desk", "ada").await;
        let mut visitor = world.visitor_of(&id, Some(link)).await.accounts();
        let moved = visitor.update_connected_account(details(json!({ "domain": "evil.freshdesk.com" }))).await;
        assert_eq!(refused(moved), "INVALID_ARGUMENT");
        assert_eq!(world.stored(&id).await.credential.details["domain"], "acme.freshdesk.com");
    }
}
