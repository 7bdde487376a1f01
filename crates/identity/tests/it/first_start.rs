use crate::fixture::{App, ROOT_KEY, context, seed};
use keystead_identity::{
    StartError, clients,
    environments::{self, EnvironmentKind},
    members::{self, Role},
    start,
};
use keystead_store::clients::{ClientType, SecretStatus};
use keystead_testkit::{engines::TestDb, on_both_engines};
use tokio::task::JoinSet;

on_both_engines! {
    /// Part of DB-001, part of DB-002: one workspace, two environments, an administrator without a password, an API
    /// client with a secret.
    async fn an_empty_database_is_filled_once(test: TestDb) {
        let app = App::started(&test).await;
        let created = &app.created;
        let listed = environments::list(&app.ctx, created.workspace, &crate::fixture::page(10, "")).await.unwrap();
        let kinds: Vec<_> = listed.items.iter().map(|one| (one.display_name.as_str(), one.kind)).collect();
        assert_eq!(kinds, [("Development", EnvironmentKind::Development), ("Production", EnvironmentKind::Production)]);
        assert_eq!(listed.total_size, 2);

        let members = members::list(&app.ctx, created.workspace, &crate::fixture::page(10, "")).await.unwrap();
        assert_eq!(members.items.len(), 1);
        assert_eq!((members.items[0].email.as_str(), members.items[0].role), ("Ada@acme.test", Role::Admin));

        let client = clients::get(&mut app.ctx.db.read(app.env()), created.client).await.unwrap();
        assert_eq!((client.row.kind, client.secrets.len()), (ClientType::Environment, 1));
        assert_eq!(client.secrets[0].status, SecretStatus::Active);
        assert!(created.secret.plain.expose().starts_with("test_"));
        assert!(created.secret.plain.expose().ends_with(&client.secrets[0].suffix));

        let (again, _) = context(&test, ROOT_KEY, 2);
        assert!(start(&again, seed()).await.unwrap().is_none());
        assert_eq!(environments::list(&again, created.workspace, &crate::fixture::page(10, "")).await.unwrap().total_size, 2);
    }

    /// DB-230: starting with another root key would make every stored secret unreadable.
    async fn another_root_key_is_refused_before_anything_is_written(test: TestDb) {
        let app = App::started(&test).await;
        let other = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let (ctx, _) = context(&test, other, 1);
        assert!(matches!(start(&ctx, seed()).await, Err(StartError::RootKeyMismatch)));
        assert!(ctx.keyring(app.env()).await.is_err());
    }

    /// Part of DB-001
    async fn nodes_that_start_together_create_one_installation(test: TestDb) {
        let mut tasks = JoinSet::new();
        for node in 0..6 {
            let (ctx, _) = context(&test, ROOT_KEY, node);
            tasks.spawn(async move { start(&ctx, seed()).await.unwrap().is_some() });
        }
        let created = tasks.join_all().await.into_iter().filter(|created| *created).count();
        assert_eq!(created, 1);
        let (ctx, _) = context(&test, ROOT_KEY, 9);
        assert!(ctx.default_environment().await.unwrap().is_some());
    }

    /// Part of DB-002
    async fn an_address_that_is_none_is_refused(test: TestDb) {
        let (ctx, _) = context(&test, ROOT_KEY, 1);
        let seed = keystead_identity::FirstStart { admin_email: "ada".to_owned(), ..seed() };
        assert!(matches!(start(&ctx, seed).await, Err(StartError::AdminEmail)));
        assert!(ctx.default_environment().await.unwrap().is_none());
    }
}
