//! What the deletion of an organization does to its connected accounts.

use crate::{connections::gmail, fixture::World};
use http::StatusCode;
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::{Value, json};

async fn listed(world: &World) -> Vec<(Value, Value)> {
    let (_, json) = world
        .rest(
            "GET",
            "/api/v1/connected_accounts?page_size=20",
            &Value::Null,
        )
        .await;
    let accounts = json["connected_accounts"].as_array().unwrap().iter();
    accounts
        .map(|account| (account["identifier"].clone(), account["status"].clone()))
        .collect()
}

on_both_engines! {
    /// Part of DR-010: the answer comes with the accounts cut off, the work done takes their rows.
    async fn a_deleted_organization_takes_its_accounts_along(test: TestDb) {
        let world = World::started(&test).await;
        gmail(&world, "mail").await;
        let (_, made) = world.rest("POST", "/api/v1/organizations", &json!({ "display_name": "Acme", "external_id": "ext-1" })).await;
        let id = made["organization"]["id"].as_str().unwrap().to_owned();
        for (user, organization) in [("ada", id.as_str()), ("bob", "")] {
            let token = json!({ "oauth_token": { "access_token": "t", "refresh_token": "", "scopes": [] } });
            let account = json!({ "connector": "mail", "identifier": user, "organization_id": organization,
                "connected_account": { "authorization_details": token } });
            let (status, made) = world.rest("POST", "/api/v1/connected_accounts", &account).await;
            assert!(status.is_success(), "{made}");
        }
        let (status, gone) = world.rest("DELETE", &format!("/api/v1/organizations/{id}"), &Value::Null).await;
        assert!(status.is_success(), "{gone}");
        assert_eq!(listed(&world).await, [(json!("bob"), json!("ACTIVE")), (json!("ada"), json!("DISCONNECTED"))]);
        world.kit.work_wanted().await;
        assert_eq!(world.kit.work_off().await.unwrap(), 1);
        assert_eq!(listed(&world).await, [(json!("bob"), json!("ACTIVE"))]);
        let (status, _) = world.rest("DELETE", &format!("/api/v1/organizations/{id}"), &Value::Null).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(world.kit.work_off().await.unwrap(), 0);
    }
}
