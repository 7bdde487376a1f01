//! Who consented is confirmed (AK-320..AK-326).

use crate::{
    fixture::{App, by_id, named, param, parts, provider_input},
    links::{acts_for, begin, finish, request_of, verified, verify, waiting},
};
use keystead_agentkit::{
    Error,
    accounts::AccountStatus,
    connections::{AuthMode, NewConnection},
    links::{CallbackEnd, NewLink},
    settings::{Settings, Verification},
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Secret;
use serde_json::{Map, json};
use std::time::Duration;

on_both_engines! {
    /// AK-321, AK-322, 3.1: tokens wait until the application names the right user.
    async fn the_application_verifies_the_user(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        app.verify(Verification::Custom).await;
        let link = app.link_with(verified("ada")).await;
        let id = link.grounds.account.id;
        let end = app.consent(connection.id, &link).await;
        let CallbackEnd::Application(url) = &end else { panic!("{end:?}") };
        assert!(url.as_str().starts_with("https://app.example.com/user/verify?tenant=7&"), "{url}");
        assert_eq!(param(url, "state").as_deref(), Some("Zk3 &="));
        let request = request_of(&end);
        assert_eq!(app.status(id).await, AccountStatus::PendingVerification);
        let error = app.get(id, "/me").await.unwrap_err();
        assert!(error.to_string().contains("PENDING_VERIFICATION"), "{error}");
        let back = verify(&app, &request, "ada").await.unwrap();
        assert!(back.ends_with("/connect/success"), "{back}");
        assert_eq!(app.status(id).await, AccountStatus::Active);
        assert_eq!(acts_for(&app, by_id(id)).await, "u-ada");
        assert_eq!(app.happened().await, [
            "created", "magic_link_generated", "oauth_tokens_fetched", "PENDING_AUTH>PENDING_VERIFICATION",
            "oauth_succeeded", "PENDING_VERIFICATION>ACTIVE",
        ]);
        let twice = verify(&app, &request, "ada").await.unwrap_err();
        assert!(matches!(twice, Error::AuthRequestNotFound), "{twice:?}");
        assert!(app.audited().await.contains(&"connected_account.verified".to_owned()));
    }

    /// AK-322: five wrong names discard the grant; the right one comes too late then.
    async fn five_wrong_names_discard_the_grant(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let request = waiting(&app, &connection, verified("ada")).await;
        for wrong in ["bo", "Ada", "ada ", "", "ADA"] {
            let error = verify(&app, &request, wrong).await.unwrap_err();
            assert!(matches!(error, Error::IdentifierMismatch), "{wrong}: {error:?}");
        }
        let error = verify(&app, &request, "ada").await.unwrap_err();
        assert!(matches!(error, Error::AuthRequestNotFound), "{error:?}");
        let account = app.kit.account(app.env, named("sandbox", "ada")).await.unwrap();
        assert_ne!(account.status, AccountStatus::Active);
        // Four wrong ones do not.
        let request = waiting(&app, &connection, verified("ada")).await;
        for _ in 0..4 {
            verify(&app, &request, "bo").await.unwrap_err();
        }
        verify(&app, &request, "ada").await.unwrap();
    }

    /// AK-322: ten minutes, and in the environment it was made in.
    async fn a_verification_runs_out_and_belongs_to_its_environment(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let other = app.another_environment("Other").await;
        let request = waiting(&app, &connection, verified("ada")).await;
        let foreign = app.kit.verify_user(other, &app.actor, &request, "ada").await;
        assert!(matches!(foreign, Err(Error::AuthRequestNotFound)));
        let unknown = verify(&app, &Secret::new("x".repeat(43)), "ada").await;
        assert!(matches!(unknown, Err(Error::AuthRequestNotFound)));
        app.clock.advance(Duration::from_secs(600));
        assert!(matches!(verify(&app, &request, "ada").await, Err(Error::AuthRequestNotFound)));
    }

    /// AK-322: the ten minutes are the grant's own, also when its link ends before.
    async fn a_link_that_ran_out_does_not_cut_the_verification(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        app.kit.update_settings(app.env, &app.actor, false, |settings| settings.link_seconds = 120).await.unwrap();
        let link = app.link_with(verified("ada")).await;
        app.clock.advance(Duration::from_secs(100));
        let request = request_of(&app.consent(connection.id, &link).await);
        app.clock.advance(Duration::from_secs(599));
        verify(&app, &request, "ada").await.unwrap();
        assert_eq!(acts_for(&app, named("sandbox", "ada")).await, "u-ada");
    }

    /// AK-323: while a new grant waits, the old credential is in use.
    async fn the_old_credential_lives_until_the_new_one_is_verified(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        let link = app.link_with(verified("ada")).await;
        let consent = begin(&app, &link).await;
        let back = app.upstream.decide(&consent, "u-bo", "allow").await;
        let end = finish(&app, &connection, Some(&back.browser), &back.query).await.unwrap();
        assert_eq!(app.status(id).await, AccountStatus::PendingVerification);
        assert_eq!(acts_for(&app, by_id(id)).await, "u-ada");
        // It is refreshed meanwhile, too.
        app.clock.advance(Duration::from_secs(400));
        app.kit.refresh_now(app.env, id).await.unwrap();
        assert_eq!(acts_for(&app, by_id(id)).await, "u-ada");
        verify(&app, &request_of(&end), "ada").await.unwrap();
        assert_eq!(acts_for(&app, by_id(id)).await, "u-bo");
    }

    /// AK-320: a member finishes a flow of mode "platform users", and never one whose application
    /// verifies.
    async fn a_member_finishes_the_flow(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        app.verify(Verification::PlatformUsers).await;
        let link = app.link("sandbox", "ada").await;
        let end = app.consent(connection.id, &link).await;
        assert!(matches!(end, CallbackEnd::SignIn(_)), "{end:?}");
        let id = link.grounds.account.id;
        assert_eq!(app.status(id).await, AccountStatus::PendingVerification);
        app.kit.verify_member(app.env, &app.actor, &request_of(&end)).await.unwrap();
        assert_eq!(app.status(id).await, AccountStatus::Active);
        let foreign = waiting(&app, &connection, verified("bo")).await;
        let refused = app.kit.verify_member(app.env, &app.actor, &foreign).await;
        assert!(matches!(refused, Err(Error::AuthRequestNotFound)), "{refused:?}");
        verify(&app, &foreign, "bo").await.unwrap();
    }

    /// Part of AK-324, part of AK-325
    async fn custom_verification_needs_an_allowed_address(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        app.verify(Verification::Custom).await;
        let without = NewLink { key: named("sandbox", "ada"), ..NewLink::default() };
        let create = |new: NewLink| app.kit.create_link(app.env, &app.actor, new);
        assert!(matches!(create(without.clone()).await, Err(Error::VerifyUrlMissing)));
        let settings = Settings {
            verification: Verification::Custom,
            default_user_verify_url: "https://app.example.com/user/verify".to_owned(),
            allowed_verify_urls: vec!["https://app.example.com/user".to_owned()],
            ..Settings::default()
        };
        app.kit.update_settings(app.env, &app.actor, false, |stored| *stored = settings).await.unwrap();
        create(without).await.unwrap();
        create(verified("ada")).await.unwrap();
        let evil = NewLink { user_verify_url: "https://evil.example.com/user".to_owned(), ..verified("ada") };
        assert!(matches!(create(evil).await, Err(Error::Invalid(_))));
    }

    /// AK-325: in production nobody on the way may read the request; on the own machine and for trying out, http works.
    async fn plain_http_is_not_for_production(test: TestDb) {
        let app = App::started(&test).await;
        app.oauth().await;
        let link = |url: &str| NewLink { user_verify_url: url.to_owned(), ..verified("ada") };
        let (http, local, https) = ("http://app.example.com/v", "http://localhost:3000/v", "https://app.example.com/v");
        for url in [http, local, https] {
            app.kit.create_link(app.env, &app.actor, link(url)).await.unwrap();
        }
        let live = app.production().await;
        let provider = provider_input("Sandbox", &json!({"type": "BEARER", "fields": []}), &app.api());
        let provider = app.kit.create_custom_provider(live, &app.actor, provider).await.unwrap();
        let new = NewConnection {
            provider_key: provider.identifier, kind: None, key_id: Some("sandbox".to_owned()), context: Map::new(), auth_mode: AuthMode::User,
        };
        app.kit.create_connection(live, &app.actor, new).await.unwrap();
        for (url, allowed) in [(http, false), (local, true), (https, true)] {
            let made = app.kit.create_link(live, &app.actor, link(url)).await;
            assert_eq!(made.is_ok(), allowed, "{url}: {made:?}");
            for settings in [
                Settings { default_user_verify_url: url.to_owned(), ..Settings::default() },
                Settings { allowed_verify_urls: vec![url.to_owned()], ..Settings::default() },
            ] {
                let stored = app.kit.update_settings(live, &app.actor, true, |stored| *stored = settings).await;
                assert_eq!(stored.is_ok(), allowed, "{url}: {stored:?}");
                app.kit.update_settings(live, &app.actor, true, |stored| *stored = Settings::default()).await.unwrap();
            }
        }
    }

    /// AK-214: a disconnected account cannot be revived by a grant that was waiting.
    async fn a_waiting_grant_does_not_revive_a_disconnected_account(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let request = waiting(&app, &connection, verified("ada")).await;
        app.kit.disconnect_account(app.env, &app.actor, named("sandbox", "ada")).await.unwrap();
        assert!(matches!(verify(&app, &request, "ada").await, Err(Error::AuthRequestNotFound)));
        let account = app.kit.account(app.env, named("sandbox", "ada")).await.unwrap();
        assert_eq!(account.status, AccountStatus::Disconnected);
    }

    /// 4.2.8: an identifier is compared after NFC, here as everywhere.
    async fn identifiers_are_compared_in_normal_form(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let (composed, decomposed) = ("Zo\u{eb}", "Zoe\u{308}");
        let request = waiting(&app, &connection, verified(decomposed)).await;
        verify(&app, &request, decomposed).await.unwrap();
        for name in [composed, decomposed] {
            app.kit.account(app.env, named("sandbox", name)).await.unwrap();
        }
        assert_eq!(app.kit.account(app.env, named("sandbox", decomposed)).await.unwrap().identifier, composed);
    }

    /// AK-750, part of AK-309: nothing of a link, state or code can be read from the database, or is in a text for
    /// a log.
    async fn no_secret_of_a_flow_is_stored_readable(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let made = app.kit.create_link(app.env, &app.actor, verified("ada")).await.unwrap();
        let (token, nonce) = parts(&made.url);
        let link = app.kit.open_link(app.env, &token, &nonce).await.unwrap();
        let consent = begin(&app, &link).await;
        let state = param(&consent.url, "state").unwrap();
        let back = app.upstream.allow(&consent).await;
        let end = finish(&app, &connection, Some(&back.browser), &back.query).await.unwrap();
        let request = request_of(&end);
        verify(&app, &request, "ada").await.unwrap();
        let grounds = app.kit.grounds(app.env, by_id(made.account.id)).await.unwrap();
        let secrets = [
            token.expose().as_str(), &state, back.browser.expose(), request.expose(), &param(&back.url, "code").unwrap(),
            &grounds.credential.access_token, &grounds.credential.refresh_token, keystead_sandbox::CLIENT_SECRET,
        ].map(ToOwned::to_owned);
        let mut stored = format!("{consent:?} {end:?} {:?} {:?}", app.events().await, app.kit.account_history(app.env, made.account.id, 100).await.unwrap());
        if test.db.engine() == keystead_store::Engine::Sqlite {
            test.db.checkpoint().await.unwrap();
            for entry in std::fs::read_dir(test.folder()).unwrap() {
                stored.push_str(&String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()));
            }
            assert!(stored.contains("app.example.com"), "the file was looked at");
        }
        for secret in secrets {
            assert!(!secret.is_empty() && !stored.contains(&secret), "{secret}");
        }
    }

    /// AK-326
    async fn nobody_verifies_in_development_only(test: TestDb) {
        let app = App::started(&test).await;
        let settings = Settings { verification: Verification::None, ..Settings::default() };
        let refused = app.kit.update_settings(app.env, &app.actor, true, |stored| *stored = settings).await;
        assert!(matches!(refused, Err(Error::Invalid(_))));
        let fresh = app.another_environment("Other").await;
        assert_eq!(app.kit.settings(fresh).await.unwrap().verification, Verification::PlatformUsers);
    }
}
