use crate::fixture::App;
use keystead_authz::{CallerKind, Credentials};
use keystead_testkit::{
    engines::{TestDb, next_id},
    on_both_engines,
};
use keystead_types::{ConnectedAccountId, Secret};
use std::time::Duration;

fn portal(token: &Secret<String>) -> Credentials {
    Credentials {
        portal_cookie: Some(token.clone()),
        ..Credentials::default()
    }
}

async fn begun(app: &App, account: ConnectedAccountId) -> Secret<String> {
    let mut tx = app.ctx.db.begin(app.env()).await.unwrap();
    let token = app
        .authorizer
        .begin_portal_session(&mut tx, account, None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    token
}

on_both_engines! {
    /// Part of AK-306
    async fn a_visitor_may_touch_one_account_for_half_an_hour(test: TestDb) {
        let app = App::started(&test).await;
        let account: ConnectedAccountId = next_id();
        let token = begun(&app, account).await;
        let caller = app.authorizer.authenticate(&app.site, &portal(&token)).await.unwrap();
        assert_eq!((caller.kind(), caller.only_account()), (CallerKind::ActionsPortal, Some(account)));
        assert!(caller.require(&["connected_accounts:write"]).is_ok());
        for forbidden in ["connected_accounts:access", "organizations:read", "api_credentials:read", "users:read"] {
            assert!(caller.require(&[forbidden]).is_err(), "{forbidden}");
        }
        let elsewhere = app.another_site().await;
        assert!(app.authorizer.authenticate(&elsewhere, &portal(&token)).await.is_err());
        let as_member = Credentials { session_cookie: Some(token.clone()), ..Credentials::default() };
        assert!(app.authorizer.authenticate(&app.site, &as_member).await.is_err());

        app.clock.advance(Duration::from_secs(1_800));
        assert!(app.authorizer.authenticate(&app.site, &portal(&token)).await.is_err());
    }

    /// Part of AK-306
    async fn a_finished_flow_ends_the_sessions_of_its_account_only(test: TestDb) {
        let app = App::started(&test).await;
        let (mine, other): (ConnectedAccountId, ConnectedAccountId) = (next_id(), next_id());
        let (first, second) = (begun(&app, mine).await, begun(&app, other).await);
        assert!(app.authorizer.authenticate(&app.site, &portal(&first)).await.is_ok());
        let mut tx = app.ctx.db.begin(app.env()).await.unwrap();
        app.authorizer.end_portal_sessions(&mut tx, mine).await.unwrap();
        tx.commit().await.unwrap();
        assert!(app.authorizer.authenticate(&app.site, &portal(&first)).await.is_err());
        assert!(app.authorizer.authenticate(&app.site, &portal(&second)).await.is_ok());
    }
}
