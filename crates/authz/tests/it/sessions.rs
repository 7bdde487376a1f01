use crate::{
    fixture::{App, bearers, session},
    login::audited,
};
use keystead_authz::{AuthError, Credentials};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Secret;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

on_both_engines! {
    /// DB-025
    async fn a_member_selects_an_environment_of_the_workspace_by_domain(test: TestDb) {
        let app = App::started(&test).await;
        let (staging, member) = (app.another_site().await, app.signed_in().await);
        let named = |domain: &str| Credentials { env_domain: Some(domain.to_owned()), ..session(&member.session) };
        let caller = app.authorizer.authenticate(&app.site, &named(&staging.environment.domain)).await.unwrap();
        assert_eq!(caller.env(), staging.environment.id);
        let unknown = app.authorizer.authenticate(&app.site, &named("evil.test")).await.unwrap_err();
        assert!(matches!(unknown, AuthError::EnvironmentNotFound));
        let caller = app.authorizer.authenticate(&app.site, &session(&member.session)).await.unwrap();
        assert_eq!(caller.env(), app.env());
    }

    /// A browser's cookie must not add power to a token.
    async fn a_bad_bearer_is_not_saved_by_a_cookie(test: TestDb) {
        let app = App::started(&test).await;
        let member = app.signed_in().await;
        let mut credentials = bearers(&[&Secret::new("junk".to_owned())]);
        credentials.session_cookie = Some(member.session.clone());
        assert!(matches!(app.authorizer.authenticate(&app.site, &credentials).await, Err(AuthError::Unauthenticated)));
        assert!(matches!(app.authorizer.authenticate(&app.site, &Credentials::default()).await, Err(AuthError::Unauthenticated)));
        let as_portal = Credentials { portal_cookie: Some(member.session), ..Credentials::default() };
        assert!(app.authorizer.authenticate(&app.site, &as_portal).await.is_err(), "a session is no portal session");
    }

    /// Signing in and out are in the audit log, each once.
    async fn signing_out_ends_the_session_at_once(test: TestDb) {
        let app = App::started(&test).await;
        let (one, other) = (app.signed_in().await, app.signed_in().await);
        let ada = one.member.id.to_string();
        assert_eq!(audited(&app, "member.signed_in").await, [ada.as_str(), ada.as_str()]);
        assert!(app.authorizer.authenticate(&app.site, &session(&one.session)).await.is_ok());
        app.authorizer.sign_out(&one.session).await.unwrap();
        app.authorizer.sign_out(&one.session).await.unwrap();
        assert_eq!(audited(&app, "member.signed_out").await, [ada]);
        assert!(app.authorizer.authenticate(&app.site, &session(&one.session)).await.is_err());
        assert!(app.authorizer.authenticate(&app.site, &session(&other.session)).await.is_ok());
        app.authorizer.sign_out_everywhere(one.member.id).await.unwrap();
        assert!(app.authorizer.authenticate(&app.site, &session(&other.session)).await.is_err());
    }

    async fn an_idle_session_ends_and_a_busy_one_lives_until_its_limit(test: TestDb) {
        let app = App::started(&test).await;
        let idle = app.signed_in().await;
        let busy = app.signed_in().await;
        // Without what is remembered in this process: as after a restart.
        let lives = async |token: &Secret<String>| {
            let fresh = keystead_authz::Authorizer::new(app.ctx.clone());
            let alive = fresh.authenticate(&app.site, &session(token)).await.is_ok();
            fresh.flush_uses().await.unwrap();
            alive
        };
        for _ in 0..16 {
            app.clock.advance(HOUR * 10);
            assert!(lives(&busy.session).await);
        }
        assert!(!lives(&idle.session).await);
        app.clock.advance(HOUR * 9);
        assert!(!lives(&busy.session).await, "a week is the limit");
    }

    /// Reads write nothing: that a session was used is stored later, and not every time.
    async fn using_a_session_writes_nothing(test: TestDb) {
        let app = App::started(&test).await;
        let member = app.signed_in().await;
        let before = test.db.write_counters().transactions;
        for _ in 0..3 {
            app.clock.advance(Duration::from_secs(60));
            app.authorizer.authenticate(&app.site, &session(&member.session)).await.unwrap();
        }
        app.authorizer.flush_uses().await.unwrap();
        assert_eq!(test.db.write_counters().transactions, before);
    }
}
