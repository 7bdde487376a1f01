//! Lists of accounts (AK-209, AK-210).

use crate::fixture::{App, by_id, of_user, page};
use keystead_agentkit::{
    Error,
    accounts::{AccountListing, NewAccount},
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::json;
use std::time::Duration;

/// 23 accounts on two connections, and one in another environment.
async fn filled(test: &TestDb) -> App {
    let app = App::started(test).await;
    app.oauth().await;
    app.static_connection(
        "notes",
        json!({"type": "BEARER", "fields": [{"field_name": "token", "required": true}]}),
    )
    .await;
    for number in 0..20 {
        app.clock.advance(Duration::from_millis(2));
        app.account("sandbox", of_user(&format!("user-{number:02}")))
            .await;
    }
    for (identifier, organization) in [("Ada_1", "org_1"), ("ada%2", "org_1"), ("bo", "org_2")] {
        app.clock.advance(Duration::from_millis(2));
        let new = NewAccount {
            organization_id: organization.to_owned(),
            user_id: "u1".to_owned(),
            ..of_user(identifier)
        };
        app.account("notes", new).await;
    }
    app
}

async fn names(
    app: &App,
    listing: &AccountListing,
    size: u32,
    token: &str,
) -> (Vec<String>, String, String, u64) {
    let page = app
        .kit
        .list_accounts(app.env, listing, &page(size, token))
        .await
        .unwrap();
    let names = page
        .items
        .into_iter()
        .map(|(account, _)| account.identifier)
        .collect();
    (
        names,
        page.next_page_token,
        page.prev_page_token,
        page.total_size,
    )
}

fn all() -> AccountListing {
    AccountListing::default()
}

on_both_engines! {
    /// AK-209: newest first, forwards and backwards without loss or repetition, short tokens.
    async fn pages_go_forwards_and_backwards(test: TestDb) {
        let app = filled(&test).await;
        let (first, next, prev, total) = names(&app, &all(), 0, "").await;
        assert_eq!((first.len(), total, prev.as_str()), (10, 23, ""), "ten unless told");
        assert_eq!(first[..4], ["bo", "ada%2", "Ada_1", "user-19"]);
        let (second, next_2, prev_2, _) = names(&app, &all(), 10, &next).await;
        let (third, end, prev_3, total) = names(&app, &all(), 10, &next_2).await;
        assert_eq!((third.len(), end.as_str(), total), (3, "", 23));
        let mut seen = [first.clone(), second.clone(), third].concat();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 23);
        assert_eq!(names(&app, &all(), 10, &prev_3).await.0, second);
        let (back, again, none, _) = names(&app, &all(), 10, &prev_2).await;
        assert_eq!((back, none.as_str()), (first, ""));
        assert_eq!(names(&app, &all(), 10, &again).await.0, second);
        for token in [next, next_2, prev_2, prev_3, again] {
            assert!((1..=32).contains(&token.len()), "{token}");
        }
        assert_eq!(names(&app, &all(), 1000, "").await.0.len(), 23);
    }

    /// AK-209: an account that comes or goes between two pages moves no other.
    async fn pages_hold_while_accounts_come_and_go(test: TestDb) {
        let app = filled(&test).await;
        let (first, next, ..) = names(&app, &all(), 10, "").await;
        app.clock.advance(Duration::from_millis(2));
        app.account("sandbox", of_user("new")).await;
        let gone = app.kit.account(app.env, crate::fixture::named("sandbox", "user-12")).await.unwrap();
        app.kit.delete_account(app.env, &app.actor, by_id(gone.id)).await.unwrap();
        let (second, ..) = names(&app, &all(), 10, &next).await;
        assert!(second.iter().all(|name| !first.contains(name) && name != "user-12" && name != "new"));
        assert_eq!(second.first().map(String::as_str), Some("user-11"), "{first:?}");
    }

    /// AK-209, 4.3: a token works in its own list, filter and environment only.
    async fn a_token_belongs_to_its_list(test: TestDb) {
        let app = filled(&test).await;
        let other = app.another_environment("Other").await;
        let (_, next, ..) = names(&app, &all(), 10, "").await;
        let filtered = AccountListing { provider: "x".to_owned(), ..all() };
        let named = AccountListing { connection_names: vec!["sandbox".to_owned()], ..all() };
        for refused in [
            app.kit.list_accounts(app.env, &named, &page(10, &next)).await,
            app.kit.list_accounts(other, &all(), &page(10, &next)).await,
            app.kit.list_accounts(app.env, &all(), &page(10, "forged")).await,
            app.kit.list_accounts(app.env, &all(), &page(10, &next[1..])).await,
        ] {
            assert!(matches!(refused, Err(Error::PageToken)), "{refused:?}");
        }
        assert_eq!(names(&app, &filtered, 10, "").await.3, 0);
        let connections = app.kit.list_connections(app.env, &keystead_store::connections::ConnectionFilter::default(), &page(1, "")).await.unwrap();
        assert!(!connections.next_page_token.is_empty());
        let refused = app.kit.list_accounts(app.env, &all(), &page(10, &connections.next_page_token)).await;
        assert!(matches!(refused, Err(Error::PageToken)));
        assert_eq!(app.kit.list_accounts(other, &all(), &page(10, "")).await.unwrap().total_size, 0);
    }

    /// AK-209, AK-210: each filter, and that text is never a pattern.
    async fn filters_limit_the_list(test: TestDb) {
        let app = filled(&test).await;
        let sandbox = app.kit.connection_named(app.env, "sandbox").await.unwrap();
        let count = async |listing: AccountListing| names(&app, &listing, 100, "").await.3;
        let query = |text: &str| AccountListing { query: text.to_owned(), ..all() };
        let names_of = |names: &[&str]| AccountListing { connection_names: names.iter().map(|name| (*name).to_owned()).collect(), ..all() };
        assert_eq!(count(names_of(&["sandbox"])).await, 20);
        assert_eq!(count(names_of(&["notes", "SANDBOX", "unknown"])).await, 23);
        assert_eq!(count(names_of(&["unknown"])).await, 0);
        assert_eq!(count(AccountListing { provider: sandbox.provider_key.to_lowercase(), ..all() }).await, 20);
        assert_eq!(count(AccountListing { connection_id: sandbox.id.to_string(), ..all() }).await, 20);
        assert_eq!(count(AccountListing { connection_id: "conn_1".to_owned(), ..all() }).await, 0);
        assert_eq!(count(AccountListing { identifier: "bo".to_owned(), ..all() }).await, 1);
        assert_eq!(count(AccountListing { organization_id: "org_1".to_owned(), user_id: "u1".to_owned(), ..all() }).await, 2);
        assert_eq!(count(AccountListing { status: "ACTIVE".to_owned(), ..all() }).await, 0);
        assert_eq!(count(AccountListing { status: "PENDING_AUTH".to_owned(), ..all() }).await, 23);
        assert_eq!(count(AccountListing { is_org_wide: Some(true), ..all() }).await, 0);
        assert_eq!(count(AccountListing { is_org_wide: Some(false), ..all() }).await, 23);
        for (text, expected) in [("ADA", 2), ("user-1", 10), ("NOTES", 3), ("a_1", 1), ("a%2", 1), ("%", 1), ("_", 1), ("\\", 0), ("zzz", 0)] {
            assert_eq!(count(query(text)).await, expected, "{text}");
        }
    }
}
