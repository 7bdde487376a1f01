use crate::fixture::{App, code_in, session};
use keystead_authz::{Authorizer, CallerKind, DEVICE_LIFETIME, LoginError, UnlockError, Visitor};
use keystead_store::{Engine, audit_records};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{Rng, Secret};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::JoinSet;

#[expect(clippy::unnecessary_wraps, reason = "as sign-in takes it")]
fn at(address: &str) -> Option<IpAddr> {
    Some(address.parse().unwrap())
}

/// Records of the audit log about refused sign-ins.
async fn refusals(app: &App) -> usize {
    audited(app, "sign_in.refused").await.len()
}

/// Actors of the records of an action in the audit log.
pub(crate) async fn audited(app: &App, action: &str) -> Vec<String> {
    let mut reader = app.ctx.db.read(app.env());
    let records = audit_records::latest(
        &mut reader,
        app.ctx.clock.now().plus(Duration::from_secs(1)),
        "~",
        100,
    )
    .await
    .unwrap();
    let told = records.into_iter().filter(|record| record.action == action);
    told.map(|record| record.actor).collect()
}

/// Gives the same bytes after the same number.
#[derive(Default, Debug)]
struct Repeating(Mutex<u64>);

impl Rng for Repeating {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock().unwrap();
        for byte in bytes {
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = state.to_be_bytes()[0];
        }
    }
}

on_both_engines! {
    /// DB 3.2
    async fn a_member_signs_in_with_the_code_from_the_mail(test: TestDb) {
        let app = App::started(&test).await;
        app.authorizer.start_login(&app.mailer, " Ada@ACME.test ", None).await.unwrap();
        let mails = app.outbox.wait_for(1).await;
        assert_eq!((mails.len(), mails[0].to.as_str()), (1, "ada@acme.test"));
        let (started, code) = app.asked_for_code().await;
        let done = app.authorizer.finish_login(&started.attempt, &format!(" {code} "), None).await.unwrap();
        assert_eq!(done.member.id, app.created.member.id);
        let caller = app.authorizer.authenticate(&app.site, &session(&done.session)).await.unwrap();
        assert_eq!((caller.kind(), caller.require_member().unwrap()), (CallerKind::Workspace, app.created.member.id));
        assert!(caller.require(&["members:write"]).is_ok());
    }

    /// DB section 4: an unknown address gets the same answer and no mail.
    async fn an_unknown_address_learns_nothing(test: TestDb) {
        let app = App::started(&test).await;
        let known = app.authorizer.start_login(&app.mailer, "ada@acme.test", None).await.unwrap();
        let unknown = app.authorizer.start_login(&app.mailer, "eve@evil.test", None).await.unwrap();
        assert_eq!(known.attempt.expose().len(), unknown.attempt.expose().len());
        assert_eq!(known.expires_at, unknown.expires_at);
        app.asked_for_code().await;
        assert_eq!(app.outbox.count(), 2, "only the two to the member");
        for attempt in [&known.attempt, &unknown.attempt] {
            let refused = app.authorizer.finish_login(attempt, "no-code", None).await.unwrap_err();
            assert!(matches!(refused, LoginError::InvalidCode));
        }
        assert!(matches!(app.authorizer.start_login(&app.mailer, "junk", None).await, Err(LoginError::InvalidEmail)));
    }

    async fn a_code_works_once_also_when_used_at_the_same_time(test: TestDb) {
        let app = App::started(&test).await;
        let (started, code) = app.asked_for_code().await;
        let mut tasks = JoinSet::new();
        for _ in 0..4 {
            let (authorizer, attempt, code) = (app.authorizer.clone(), started.attempt.clone(), code.clone());
            tasks.spawn(async move { authorizer.finish_login(&attempt, &code, None).await.is_ok() });
        }
        assert_eq!(tasks.join_all().await.into_iter().filter(|won| *won).count(), 1);
        assert!(app.authorizer.finish_login(&started.attempt, &code, None).await.is_err());
    }

    async fn five_tries_and_ten_minutes_are_the_limit(test: TestDb) {
        let app = App::started(&test).await;
        let (started, code) = app.asked_for_code().await;
        let wrong = if code == "00000000" { "00000001" } else { "00000000" };
        for _ in 0..5 {
            assert!(app.authorizer.finish_login(&started.attempt, wrong, None).await.is_err());
        }
        assert!(app.authorizer.finish_login(&started.attempt, &code, None).await.is_err(), "the sixth try is too late");

        let (started, code) = app.asked_for_code().await;
        app.clock.advance(Duration::from_secs(600));
        assert!(app.authorizer.finish_login(&started.attempt, &code, None).await.is_err(), "expired");
    }

    /// A code is bound to the browser that asked for it.
    async fn a_code_does_not_work_in_another_browser(test: TestDb) {
        let app = App::started(&test).await;
        let (mine, code) = app.asked_for_code().await;
        let other = app.authorizer.start_login(&app.mailer, "eve@evil.test", None).await.unwrap();
        assert!(app.authorizer.finish_login(&other.attempt, &code, None).await.is_err());
        assert!(app.authorizer.finish_login(&Secret::new("kla_x".to_owned()), &code, None).await.is_err());
        assert!(app.authorizer.finish_login(&mine.attempt, &code, None).await.is_ok());
    }

    async fn an_address_cannot_be_flooded_with_mail(test: TestDb) {
        let app = App::started(&test).await;
        for _ in 0..8 {
            app.authorizer.start_login(&app.mailer, "ada@acme.test", None).await.unwrap();
        }
        assert_eq!(app.outbox.wait_for(5).await.len(), 5);
        app.clock.advance(Duration::from_secs(901));
        app.authorizer.start_login(&app.mailer, "ada@acme.test", None).await.unwrap();
        assert_eq!(app.outbox.wait_for(6).await.len(), 6, "the three in excess were never sent");
    }

    /// SECURITY: an attempt without a mail is nothing to guess at. The generator repeats itself, so
    /// that the code it would have had is known here.
    async fn an_attempt_over_the_limit_of_mails_has_no_code(test: TestDb) {
        let mut app = App::started(&test).await;
        let rng = Arc::new(Repeating::default());
        app.ctx.rng = rng.clone();
        let authorizer = Authorizer::new(app.ctx.clone());
        let visitor = at("192.0.2.7");
        for _ in 0..5 {
            authorizer.start_login(&app.mailer, "ada@acme.test", visitor).await.unwrap();
        }
        app.outbox.wait_for(5).await;
        *rng.0.lock().unwrap() = 100;
        let mailed = authorizer.start_login(&app.mailer, "ada@acme.test", at("192.0.2.8")).await.unwrap();
        let code = code_in(&app.outbox.wait_for(6).await[5].text);
        assert!(authorizer.finish_login(&mailed.attempt, &code, None).await.is_ok(), "the code of this start");
        test.run("DELETE FROM login_codes".to_owned()).await.unwrap();

        *rng.0.lock().unwrap() = 100;
        let silent = authorizer.start_login(&app.mailer, "ada@acme.test", visitor).await.unwrap();
        assert_eq!(silent.attempt.expose(), mailed.attempt.expose(), "the same start without a mail");
        let refused = authorizer.finish_login(&silent.attempt, &code, None).await.unwrap_err();
        assert!(matches!(refused, LoginError::InvalidCode), "{refused:?}");
        assert_eq!(app.outbox.count(), 6);
    }

    /// SECURITY: a stranger cannot keep a member from getting codes.
    async fn requests_of_a_stranger_do_not_use_up_those_of_the_member(test: TestDb) {
        let app = App::started(&test).await;
        for _ in 0..20 {
            app.authorizer.start_login(&app.mailer, "ada@acme.test", at("203.0.113.9")).await.unwrap();
        }
        let mine = app.authorizer.start_login(&app.mailer, "ada@acme.test", at("192.0.2.1")).await.unwrap();
        // Mails arrive in any order.
        let codes: Vec<_> = app.outbox.wait_for(6).await.iter().map(|mail| code_in(&mail.text)).collect();
        assert_eq!(codes.len(), 6, "five of the stranger and mine");
        let mut done = false;
        for code in codes {
            done |= app.authorizer.finish_login(&mine.attempt, &code, at("192.0.2.1")).await.is_ok();
            if done { break; }
            test.run("UPDATE login_codes SET tries = 0".to_owned()).await.unwrap();
        }
        assert!(done);

        // All together have a ceiling.
        for visitor in 0..20 {
            for _ in 0..5 {
                app.authorizer.start_login(&app.mailer, "ada@acme.test", at(&format!("198.51.100.{visitor}"))).await.unwrap();
            }
        }
        app.clock.advance(Duration::from_secs(901));
        app.authorizer.start_login(&app.mailer, "ada@acme.test", at("192.0.2.1")).await.unwrap();
        assert_eq!(app.outbox.wait_for(51).await.len(), 51);
    }

    /// SECURITY: new attempts do not buy new tries.
    async fn wrong_codes_are_limited_over_all_attempts_of_an_address(test: TestDb) {
        let app = App::started(&test).await;
        let stranger = at("203.0.113.9");
        for tried in 0..10 {
            let attempt = app.authorizer.start_login(&app.mailer, "ada@acme.test", stranger).await.unwrap().attempt;
            let refused = app.authorizer.finish_login(&attempt, "wrong", stranger).await.unwrap_err();
            assert!(matches!(refused, LoginError::InvalidCode), "{tried} {refused:?}");
        }
        assert_eq!(refusals(&app).await, 1);
        let (started, code) = app.asked_for_code().await;
        let refused = app.authorizer.finish_login(&started.attempt, &code, stranger).await.unwrap_err();
        assert!(matches!(refused, LoginError::TooManyTries(wait) if wait == Duration::from_secs(3600)), "{refused:?}");
        assert_eq!(refusals(&app).await, 1, "said once");
        // The member is elsewhere, and what was refused did not count.
        let done = app.authorizer.finish_login(&started.attempt, &code, at("192.0.2.1")).await;
        assert!(done.is_ok(), "{done:?}");
        app.clock.advance(Duration::from_secs(3600));
        let (started, code) = app.asked_for_code().await;
        assert!(app.authorizer.finish_login(&started.attempt, &code, stranger).await.is_ok());
    }

    /// SECURITY: neither many networks nor tries at the same time pass the limit; right codes do not
    /// count, and strangers are refused like members.
    async fn many_networks_together_are_limited_also_at_the_same_time(test: TestDb) {
        let app = App::started(&test).await;
        for email in ["ada@acme.test", "eve@evil.test"] {
            if email == "ada@acme.test" {
                for _ in 0..12 {
                    let (started, code) = app.asked_for_code().await;
                    assert!(app.authorizer.finish_login(&started.attempt, &code, at("192.0.2.1")).await.is_ok());
                    app.clock.advance(Duration::from_secs(200));
                }
                app.clock.advance(Duration::from_secs(3600));
            }
            let mut tasks = JoinSet::new();
            for visitor in 0..40 {
                let visitor = at(&format!("198.51.100.{visitor}"));
                let attempt = app.authorizer.start_login(&app.mailer, email, visitor).await.unwrap().attempt;
                let authorizer = app.authorizer.clone();
                tasks.spawn(async move { authorizer.finish_login(&attempt, "wrong", visitor).await.unwrap_err() });
            }
            let compared = tasks.join_all().await.into_iter().filter(|error| matches!(error, LoginError::InvalidCode));
            assert_eq!(compared.count(), 30, "{email}");
            let attempt = app.authorizer.start_login(&app.mailer, email, at("192.0.2.1")).await.unwrap().attempt;
            let refused = app.authorizer.finish_login(&attempt, "wrong", at("192.0.2.1")).await.unwrap_err();
            assert!(matches!(refused, LoginError::TooManyTries(_)), "{email} {refused:?}");
        }
        assert_eq!(refusals(&app).await, 1, "strangers have no log");
    }

    /// SECURITY: strangers in many networks lock nobody out of a browser that has signed in before.
    async fn strangers_do_not_lock_a_known_browser(test: TestDb) {
        let app = App::started(&test).await;
        let device = app.signed_in().await.device;
        let known = Visitor { network: at("192.0.2.1"), device: Some(device) };
        for network in 0..3 {
            let stranger = at(&format!("198.51.100.{network}"));
            for _ in 0..10 {
                let attempt = app.authorizer.start_login(&app.mailer, "ada@acme.test", stranger).await.unwrap().attempt;
                app.authorizer.finish_login(&attempt, "wrong", stranger).await.unwrap_err();
            }
        }
        let (started, code) = app.asked_for_code().await;
        let refused = app.authorizer.finish_login(&started.attempt, &code, at("192.0.2.1")).await.unwrap_err();
        assert!(matches!(refused, LoginError::TooManyTries(_)), "{refused:?}");
        let done = app.authorizer.finish_login(&started.attempt, &code, known.clone()).await;
        assert!(done.is_ok(), "{done:?}");

        // The mails of all strangers together are used up as well.
        for network in 0..20 {
            for _ in 0..5 {
                app.authorizer.start_login(&app.mailer, "ada@acme.test", at(&format!("203.0.113.{network}"))).await.unwrap();
            }
        }
        let before = app.outbox.wait_for(50).await.len();
        app.authorizer.start_login(&app.mailer, "ada@acme.test", at("192.0.2.1")).await.unwrap();
        app.authorizer.start_login(&app.mailer, "ada@acme.test", known).await.unwrap();
        assert_eq!(app.outbox.wait_for(before + 1).await.len(), before + 1);
    }

    /// SECURITY: a stolen proof buys few tries, and no other's, an old or a changed one buys none.
    async fn a_known_browser_has_a_limit_of_its_own(test: TestDb) {
        let app = App::started(&test).await;
        let device = app.signed_in().await.device;
        let wrong = async |device: &Secret<String>, email: &str, network: &str| {
            let visitor = Visitor { network: at(network), device: Some(device.clone()) };
            let attempt = app.authorizer.start_login(&app.mailer, email, at("192.0.2.9")).await.unwrap().attempt;
            app.authorizer.finish_login(&attempt, "wrong", visitor).await.unwrap_err()
        };
        for tried in 0..11 {
            let refused = wrong(&device, "ada@acme.test", &format!("192.0.2.{tried}")).await;
            assert_eq!(matches!(refused, LoginError::TooManyTries(_)), tried == 10, "{tried} {refused:?}");
        }
        let text = device.expose();
        let (claim, mac) = text.rsplit_once('.').unwrap();
        let longer = format!("{claim}0.{mac}");
        let other = format!("{claim}.{}", "A".repeat(43));
        let not_ours = ["", "kdv_", "a.b.c", &longer, &other].map(|text| Secret::new(text.to_owned()));
        // All from one network, which is what counts for them.
        for tried in 0..11 {
            let refused = wrong(&not_ours[tried % 5], "ada@acme.test", "198.51.100.1").await;
            assert_eq!(matches!(refused, LoginError::TooManyTries(_)), tried == 10, "{tried} {refused:?}");
            let refused = wrong(&device, "eve@evil.test", "198.51.100.2").await;
            assert_eq!(matches!(refused, LoginError::TooManyTries(_)), tried == 10, "{tried} {refused:?}");
        }
        app.clock.advance(DEVICE_LIFETIME);
        for tried in 0..11 {
            let refused = wrong(&device, "ada@acme.test", "198.51.100.3").await;
            assert_eq!(matches!(refused, LoginError::TooManyTries(_)), tried == 10, "{tried} {refused:?}");
        }
    }

    /// The way out for a member without a known browser.
    async fn an_operator_unlocks_a_member(test: TestDb) {
        let app = App::started(&test).await;
        for network in 0..3 {
            let stranger = at(&format!("198.51.100.{network}"));
            for _ in 0..10 {
                let attempt = app.authorizer.start_login(&app.mailer, "ada@acme.test", stranger).await.unwrap().attempt;
                app.authorizer.finish_login(&attempt, "wrong", stranger).await.unwrap_err();
            }
        }
        let (started, code) = app.asked_for_code().await;
        let mine = at("192.0.2.1");
        assert!(app.authorizer.finish_login(&started.attempt, &code, mine).await.is_err());
        let nobody = app.authorizer.unlock_sign_in(&app.actor, "eve@evil.test").await;
        assert!(matches!(nobody, Err(UnlockError::NoMember)), "{nobody:?}");
        let member = app.authorizer.unlock_sign_in(&app.actor, " Ada@ACME.test").await.unwrap();
        assert_eq!(member.id, app.created.member.id);
        assert!(app.authorizer.finish_login(&started.attempt, &code, mine).await.is_ok());
    }

    /// The database holds neither codes nor tokens in a readable form.
    async fn codes_and_tokens_are_not_stored(test: TestDb) {
        let app = App::started(&test).await;
        let (started, code) = app.asked_for_code().await;
        let signed_in = app.authorizer.finish_login(&started.attempt, &code, None).await.unwrap();
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
