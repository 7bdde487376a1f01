use crate::fixture::{App, session};
use keystead_authz::{CallerKind, LoginError};
use keystead_store::Engine;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Secret;
use std::time::Duration;
use tokio::task::JoinSet;

on_both_engines! {
    /// DB 3.2
    async fn a_member_signs_in_with_the_code_from_the_mail(test: TestDb) {
        let app = App::started(&test).await;
        app.authorizer.start_login(&app.mailer, " Ada@ACME.test ").await.unwrap();
        let mails = app.outbox.wait_for(1).await;
        assert_eq!((mails.len(), mails[0].to.as_str()), (1, "ada@acme.test"));
        let (started, code) = app.asked_for_code().await;
        let done = app.authorizer.finish_login(&started.attempt, &format!(" {code} ")).await.unwrap();
        assert_eq!(done.member.id, app.created.member.id);
        let caller = app.authorizer.authenticate(&app.site, &session(&done.session)).await.unwrap();
        assert_eq!((caller.kind(), caller.require_member().unwrap()), (CallerKind::Workspace, app.created.member.id));
        assert!(caller.require(&["members:write"]).is_ok());
    }

    /// DB section 4: an unknown address gets the same answer and no mail.
    async fn an_unknown_address_learns_nothing(test: TestDb) {
        let app = App::started(&test).await;
        let known = app.authorizer.start_login(&app.mailer, "ada@acme.test").await.unwrap();
        let unknown = app.authorizer.start_login(&app.mailer, "eve@evil.test").await.unwrap();
        assert_eq!(known.attempt.expose().len(), unknown.attempt.expose().len());
        assert_eq!(known.expires_at, unknown.expires_at);
        app.asked_for_code().await;
        assert_eq!(app.outbox.count(), 2, "only the two to the member");
        for attempt in [&known.attempt, &unknown.attempt] {
            let refused = app.authorizer.finish_login(attempt, "no-code").await.unwrap_err();
            assert!(matches!(refused, LoginError::InvalidCode));
        }
        assert!(matches!(app.authorizer.start_login(&app.mailer, "junk").await, Err(LoginError::InvalidEmail)));
    }

    async fn a_code_works_once_also_when_used_at_the_same_time(test: TestDb) {
        let app = App::started(&test).await;
        let (started, code) = app.asked_for_code().await;
        let mut tasks = JoinSet::new();
        for _ in 0..4 {
            let (authorizer, attempt, code) = (app.authorizer.clone(), started.attempt.clone(), code.clone());
            tasks.spawn(async move { authorizer.finish_login(&attempt, &code).await.is_ok() });
        }
        assert_eq!(tasks.join_all().await.into_iter().filter(|won| *won).count(), 1);
        assert!(app.authorizer.finish_login(&started.attempt, &code).await.is_err());
    }

    async fn five_tries_and_ten_minutes_are_the_limit(test: TestDb) {
        let app = App::started(&test).await;
        let (started, code) = app.asked_for_code().await;
        let wrong = if code == "000000" { "000001" } else { "000000" };
        for _ in 0..5 {
            assert!(app.authorizer.finish_login(&started.attempt, wrong).await.is_err());
        }
        assert!(app.authorizer.finish_login(&started.attempt, &code).await.is_err(), "the sixth try is too late");

        let (started, code) = app.asked_for_code().await;
        app.clock.advance(Duration::from_secs(600));
        assert!(app.authorizer.finish_login(&started.attempt, &code).await.is_err(), "expired");
    }

    /// A code is bound to the browser that asked for it.
    async fn a_code_does_not_work_in_another_browser(test: TestDb) {
        let app = App::started(&test).await;
        let (mine, code) = app.asked_for_code().await;
        let other = app.authorizer.start_login(&app.mailer, "eve@evil.test").await.unwrap();
        assert!(app.authorizer.finish_login(&other.attempt, &code).await.is_err());
        assert!(app.authorizer.finish_login(&Secret::new("kla_x".to_owned()), &code).await.is_err());
        assert!(app.authorizer.finish_login(&mine.attempt, &code).await.is_ok());
    }

    async fn an_address_cannot_be_flooded_with_mail(test: TestDb) {
        let app = App::started(&test).await;
        for _ in 0..8 {
            app.authorizer.start_login(&app.mailer, "ada@acme.test").await.unwrap();
        }
        assert_eq!(app.outbox.wait_for(5).await.len(), 5);
        app.clock.advance(Duration::from_secs(901));
        app.authorizer.start_login(&app.mailer, "ada@acme.test").await.unwrap();
        assert_eq!(app.outbox.wait_for(6).await.len(), 6, "the three in excess were never sent");
    }

    /// The database holds neither codes nor tokens in a readable form.
    async fn codes_and_tokens_are_not_stored(test: TestDb) {
        let app = App::started(&test).await;
        let (started, code) = app.asked_for_code().await;
        let signed_in = app.authorizer.finish_login(&started.attempt, &code).await.unwrap();
        let debug = format!("{signed_in:?}");
        assert!(!debug.contains(signed_in.session.expose().as_str()));
        let mut plain = vec![code.clone(), started.attempt.expose().clone(), signed_in.session.expose().clone()];
        plain.push(format!("{}:{code}", started.attempt.expose()));
        for secret in plain {
            let hex = hex::encode(&secret);
            let bytes = if test.db.engine() == Engine::Sqlite { format!("X'{hex}'") } else { format!("'\\x{hex}'") };
            for column in ["login_codes SET tries = tries WHERE code_hash", "login_codes SET tries = tries WHERE attempt_hash",
                "member_sessions SET id = id WHERE token_hash"] {
                assert_eq!(test.run(format!("UPDATE {column} = {bytes}")).await.unwrap(), 0, "{column}");
            }
        }
    }
}
