//! Grants that nobody verifies (AK-322, AK-323).

use crate::{
    fixture::{App, TOKEN_LIFE, by_id, named, page},
    grants::revoke,
    links::{acts_for, begin, finish, request_of, verified, verify, waiting},
};
use keystead_agentkit::{
    Error,
    accounts::{AccountListing, AccountStatus},
    connections::Connection,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ConnectedAccountId, Secret};
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(600);

/// Bo consents on a link of Ada's account, which Ada never asked for.
async fn foreign_consent(app: &App, connection: &Connection) -> Secret<String> {
    let link = app.link_with(verified("ada")).await;
    let consent = begin(app, &link).await;
    let back = app.upstream.decide(&consent, "u-bo", "allow").await;
    let end = finish(app, connection, Some(&back.browser), &back.query).await;
    request_of(&end.unwrap())
}

/// Ids of the accounts that a list of this state holds.
async fn listed(app: &App, status: AccountStatus) -> Vec<ConnectedAccountId> {
    let listing = AccountListing {
        status: status.as_str().to_owned(),
        ..AccountListing::default()
    };
    let found = app
        .kit
        .list_accounts(app.env, &listing, &page(10, ""))
        .await
        .unwrap();
    assert_eq!(found.total_size, found.items.len() as u64);
    found.items.iter().map(|(account, _)| account.id).collect()
}

on_both_engines! {
    /// AK-322, AK-323: after ten minutes the account is what it was, at once and with the credential
    /// it had; the background job says so once and removes the tokens.
    async fn a_grant_that_is_not_verified_leaves_the_account_as_it_was(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let request = foreign_consent(&app, &connection).await;
        assert_eq!(app.status(id).await, AccountStatus::PendingVerification);
        assert_eq!(listed(&app, AccountStatus::PendingVerification).await, [id]);
        assert!(listed(&app, AccountStatus::Active).await.is_empty());
        assert_eq!(acts_for(&app, by_id(id)).await, "u-ada");
        assert_eq!(app.kit.lapse_pending(10).await.unwrap(), 0, "its time has not come");

        app.clock.advance(WINDOW);
        assert_eq!(app.status(id).await, AccountStatus::Active, "without anybody's doing");
        assert_eq!(listed(&app, AccountStatus::Active).await, [id]);
        assert!(listed(&app, AccountStatus::PendingVerification).await.is_empty());
        assert!(matches!(verify(&app, &request, "ada").await, Err(Error::AuthRequestNotFound)));
        assert_eq!(acts_for(&app, by_id(id)).await, "u-ada");

        let before = app.happened().await.len();
        assert_eq!(app.kit.lapse_pending(10).await.unwrap(), 1);
        assert_eq!(app.kit.lapse_pending(10).await.unwrap(), 0);
        assert_eq!(app.happened_since(before).await, ["PENDING_VERIFICATION>ACTIVE"]);
        assert_eq!(test.run("DELETE FROM pending_grants".to_owned()).await.unwrap(), 0, "tokens are gone");
        assert_eq!((app.status(id).await, acts_for(&app, by_id(id)).await), (AccountStatus::Active, "u-ada".to_owned()));
    }

    /// AK-322: five wrong names do the same at once.
    async fn five_wrong_names_leave_the_account_as_it_was(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let request = foreign_consent(&app, &connection).await;
        for _ in 0..4 {
            verify(&app, &request, "bo").await.unwrap_err();
            assert_eq!(app.status(id).await, AccountStatus::PendingVerification);
        }
        let before = app.happened().await.len();
        assert!(matches!(verify(&app, &request, "bo").await, Err(Error::IdentifierMismatch)));
        assert_eq!(app.status(id).await, AccountStatus::Active);
        assert_eq!(app.happened_since(before).await, ["PENDING_VERIFICATION>ACTIVE"]);
        assert!(matches!(verify(&app, &request, "ada").await, Err(Error::AuthRequestNotFound)));
        assert_eq!(acts_for(&app, by_id(id)).await, "u-ada");
        assert_eq!(test.run("DELETE FROM pending_grants".to_owned()).await.unwrap(), 0, "tokens are gone");
        // Of two waiting grants the other one goes on.
        let (first, second) = (foreign_consent(&app, &connection).await, waiting(&app, &connection, verified("ada")).await);
        for _ in 0..5 {
            verify(&app, &first, "bo").await.unwrap_err();
        }
        assert_eq!(app.status(id).await, AccountStatus::PendingVerification);
        verify(&app, &second, "ada").await.unwrap();
        assert_eq!((app.status(id).await, acts_for(&app, by_id(id)).await), (AccountStatus::Active, "u-ada".to_owned()));
        assert_eq!(test.run("DELETE FROM pending_grants".to_owned()).await.unwrap(), 0);
    }

    /// AK-322: names that are sent at the same moment do not get more than five tries.
    async fn five_tries_are_five_also_at_once(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let request = foreign_consent(&app, &connection).await;
        let before = app.happened().await.len();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let (kit, env, actor, request) = (app.kit.clone(), app.env, app.actor.clone(), request.clone());
            tasks.spawn(async move { kit.verify_user(env, &actor, &request, "bo").await.is_err() });
        }
        assert!(tasks.join_all().await.into_iter().all(|refused| refused));
        assert_eq!(app.happened_since(before).await, ["PENDING_VERIFICATION>ACTIVE"], "told once");
        assert!(matches!(verify(&app, &request, "ada").await, Err(Error::AuthRequestNotFound)));
        assert_eq!(app.status(id).await, AccountStatus::Active);
    }

    /// AK-322: an account goes back to whatever it was, and does not act meanwhile if it did not.
    async fn accounts_that_did_not_act_do_not_act_meanwhile(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        // Never authorized.
        waiting(&app, &connection, verified("new")).await;
        // Expired; the row still has the dead credential.
        let expired = app.connected(&connection, "ada").await;
        revoke(&app, expired).await;
        app.clock.advance(TOKEN_LIFE);
        app.get(expired, "/me").await.unwrap_err();
        let reason = app.read(expired).await.status_reason;
        assert!(reason.contains("invalid_grant"), "{reason}");
        foreign_consent(&app, &connection).await;
        // Disconnected.
        let cut = app.connected(&connection, "cy").await;
        app.kit.disconnect_account(app.env, &app.actor, by_id(cut)).await.unwrap();
        waiting(&app, &connection, verified("cy")).await;
        let new = app.kit.account(app.env, named("sandbox", "new")).await.unwrap().id;
        // The first one waited for longer than the others.
        waiting(&app, &connection, verified("new")).await;
        for id in [new, expired, cut] {
            assert_eq!(app.status(id).await, AccountStatus::PendingVerification);
            let refused = app.get(id, "/me").await.unwrap_err();
            assert!(refused.to_string().contains("PENDING_VERIFICATION"), "{refused}");
        }
        let exchanges = app.upstream.counter("token_requests").await;
        app.clock.advance(WINDOW);
        let states = [(new, AccountStatus::PendingAuth), (expired, AccountStatus::Expired), (cut, AccountStatus::Disconnected)];
        for (id, state) in states {
            assert_eq!(app.status(id).await, state);
        }
        assert_eq!(app.read(expired).await.status_reason, reason);
        let before = app.happened().await.len();
        assert_eq!(app.kit.lapse_pending(2).await.unwrap(), 2, "a batch at a time");
        assert_eq!(app.kit.lapse_pending(2).await.unwrap(), 1);
        let mut told = app.happened_since(before).await;
        told.sort_unstable();
        assert_eq!(told, [
            "PENDING_VERIFICATION>DISCONNECTED", "PENDING_VERIFICATION>EXPIRED", "PENDING_VERIFICATION>PENDING_AUTH",
        ]);
        assert_eq!(app.upstream.counter("token_requests").await, exchanges, "nothing was refreshed");
    }

    /// AK-323, AK-220: the old credential is refreshed while the new one waits, which ends nothing.
    async fn a_refresh_does_not_end_the_waiting(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.clock.advance(TOKEN_LIFE);
        let request = foreign_consent(&app, &connection).await;
        let before = app.happened().await.len();
        assert_eq!(acts_for(&app, by_id(id)).await, "u-ada");
        assert_eq!(app.happened_since(before).await, ["token_refresh_succeeded"], "the state did not change");
        assert_eq!(app.status(id).await, AccountStatus::PendingVerification);
        // A refusal shows when the waiting is over.
        revoke(&app, id).await;
        app.clock.advance(Duration::from_secs(300));
        app.kit.refresh_now(app.env, id).await.unwrap_err();
        assert_eq!(app.status(id).await, AccountStatus::PendingVerification);
        verify(&app, &request, "ada").await.unwrap();
        assert_eq!((app.status(id).await, acts_for(&app, by_id(id)).await), (AccountStatus::Active, "u-bo".to_owned()));
    }
}
