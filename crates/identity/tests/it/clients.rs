use crate::fixture::{App, page};
use keystead_identity::clients::{
    self, ClientSettings, ClientType, CreateClient, Error, SecretStatus,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{ErrorCode, Reason};
use tokio::task::JoinSet;

fn named(name: &str, kind: ClientType) -> CreateClient {
    CreateClient {
        name: name.to_owned(),
        kind,
        access_token_expiry: None,
        disallow_api_access: false,
        settings: ClientSettings::default(),
    }
}

on_both_engines! {
    /// LG-282, DB 3.5: create the second, deploy, remove the first.
    async fn a_secret_is_rotated_without_a_gap(test: TestDb) {
        let app = App::started(&test).await;
        let (ctx, env, client) = (&app.ctx, app.env(), app.created.client);
        app.tick();
        let second = clients::create_secret(ctx, env, &app.actor, client).await.unwrap();
        assert_ne!(second.plain.expose(), app.created.secret.plain.expose());
        let third = clients::create_secret(ctx, env, &app.actor, client).await.unwrap_err();
        assert_eq!(third.code(), ErrorCode::SecretLimitReached);
        clients::delete_secret(ctx, env, &app.actor, client, app.created.secret.secret.id).await.unwrap();
        let left = clients::get(&mut ctx.db.read(env), client).await.unwrap().secrets;
        assert_eq!(left.iter().map(|secret| secret.id).collect::<Vec<_>>(), [second.secret.id]);
        let last = clients::delete_secret(ctx, env, &app.actor, client, second.secret.id).await;
        assert!(matches!(last, Err(Error::LastSecret)));
        let actions = app.audited(env).await;
        assert_eq!(actions.iter().filter(|action| action.starts_with("client_secret")).count(), 3);
    }

    /// LG-282: at most two active, also when many ask at once.
    async fn two_secrets_at_most_are_active_under_concurrency(test: TestDb) {
        let app = App::started(&test).await;
        let mut tasks = JoinSet::new();
        for _ in 0..10 {
            let (ctx, actor, env, client) = (app.ctx.clone(), app.actor.clone(), app.env(), app.created.client);
            tasks.spawn(async move { clients::create_secret(&ctx, env, &actor, client).await.is_ok() });
        }
        assert_eq!(tasks.join_all().await.into_iter().filter(|made| *made).count(), 1);
    }

    /// LG-282
    async fn a_secret_can_be_switched_off_and_on(test: TestDb) {
        let app = App::started(&test).await;
        let (ctx, env, client) = (&app.ctx, app.env(), app.created.client);
        let first = app.created.secret.secret.id;
        let switch = |id, status| clients::set_secret_status(ctx, env, &app.actor, client, id, status);
        assert_eq!(switch(first, SecretStatus::Inactive).await.unwrap().status, SecretStatus::Inactive);
        clients::create_secret(ctx, env, &app.actor, client).await.unwrap();
        clients::create_secret(ctx, env, &app.actor, client).await.unwrap();
        assert!(matches!(switch(first, SecretStatus::Active).await, Err(Error::SecretLimit)), "two others are active");
    }

    /// LG-280
    async fn public_clients_have_pkce_and_no_secret(test: TestDb) {
        let app = App::started(&test).await;
        let (ctx, env) = (&app.ctx, app.env());
        let spa = clients::create(ctx, env, &app.actor, named("Shop", ClientType::Spa)).await.unwrap();
        assert!(spa.settings.enforce_pkce && spa.row.disallow_api_access);
        let refused = clients::create_secret(ctx, env, &app.actor, spa.row.id).await;
        assert!(matches!(refused, Err(Error::PublicClient(ClientType::Spa))));
        let web = clients::create(ctx, env, &app.actor, named("Web", ClientType::WebApp)).await.unwrap();
        assert!(!web.settings.enforce_pkce);
        let second = clients::create(ctx, env, &app.actor, named("Env", ClientType::Environment)).await;
        assert!(matches!(second, Err(Error::Invalid(_))));
    }

    /// LG-283, LG-284
    async fn clients_are_changed_listed_and_deleted(test: TestDb) {
        let app = App::started(&test).await;
        let (ctx, env) = (&app.ctx, app.env());
        app.tick();
        let web = clients::create(ctx, env, &app.actor, named("Web", ClientType::WebApp)).await.unwrap();
        let changed = clients::update(ctx, env, &app.actor, web.row.id, |mut client| {
            "Web 2".clone_into(&mut client.name);
            client.settings.scopes = vec!["read".to_owned()];
            client
        })
        .await
        .unwrap();
        assert_eq!(clients::get(&mut ctx.db.read(env), web.row.id).await.unwrap(), changed);
        assert_eq!((changed.row.name.as_str(), changed.settings.scopes.len()), ("Web 2", 1));

        let all = clients::list(ctx, env, &page(1, ""), &[]).await.unwrap();
        assert_eq!((all.items[0].row.kind, all.total_size), (ClientType::Environment, 2));
        let rest = clients::list(ctx, env, &page(1, &all.next_page_token), &[]).await.unwrap();
        assert_eq!(rest.items[0].row.id, web.row.id);
        let webs = clients::list(ctx, env, &page(10, ""), &[ClientType::WebApp]).await.unwrap();
        assert_eq!((webs.items.len(), webs.total_size), (1, 1));
        let mixed = clients::list(ctx, env, &page(1, &all.next_page_token), &[ClientType::WebApp]).await;
        assert!(matches!(mixed, Err(Error::InvalidPageToken)));

        assert!(matches!(clients::delete(ctx, env, &app.actor, app.created.client).await, Err(Error::EnvironmentClient)));
        clients::delete(ctx, env, &app.actor, web.row.id).await.unwrap();
        assert!(matches!(clients::delete(ctx, env, &app.actor, web.row.id).await, Err(Error::NotFound)));
        assert_eq!(clients::list(ctx, env, &page(10, ""), &[]).await.unwrap().total_size, 1);
    }

    /// MC 4.4: a client of another environment does not exist.
    async fn other_environments_see_nothing(test: TestDb) {
        let app = App::started(&test).await;
        let elsewhere = app.another_environment("Staging").await.id;
        let client = app.created.client;
        assert!(matches!(clients::get(&mut app.ctx.db.read(elsewhere), client).await, Err(Error::NotFound)));
        assert!(matches!(clients::create_secret(&app.ctx, elsewhere, &app.actor, client).await, Err(Error::NotFound)));
        assert!(matches!(clients::delete(&app.ctx, elsewhere, &app.actor, client).await, Err(Error::NotFound)));
        assert!(app.ctx.cached_client(elsewhere, client).await.unwrap().is_none());
    }

    /// Part of DB-205: what is remembered of a client goes with every change on this node.
    async fn a_change_is_seen_at_once_through_the_cache(test: TestDb) {
        let app = App::started(&test).await;
        let (ctx, env, client) = (&app.ctx, app.env(), app.created.client);
        assert_eq!(ctx.cached_client(env, client).await.unwrap().unwrap().secrets.len(), 1);
        clients::create_secret(ctx, env, &app.actor, client).await.unwrap();
        assert_eq!(ctx.cached_client(env, client).await.unwrap().unwrap().secrets.len(), 2);
    }
}
