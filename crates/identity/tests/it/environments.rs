use crate::fixture::{App, page};
use keystead_identity::{
    clients,
    environments::{self, Error},
};
use keystead_testkit::{
    engines::{TestDb, next_id},
    on_both_engines,
};
use keystead_types::{ErrorCode, Reason, WorkspaceId};

on_both_engines! {
    /// Part of DB-020: the base URL means the default environment, every other host its own.
    async fn a_host_selects_an_environment(test: TestDb) {
        let app = App::started(&test).await;
        for host in ["localhost:8443", "LOCALHOST", "127.0.0.1:8443", "localhost."] {
            let site = app.ctx.site_by_host(host).await.unwrap().unwrap();
            assert_eq!(site.environment.id, app.env(), "{host}");
            assert_eq!(site.base_url, "https://localhost:8443");
        }
        let staging = app.another_environment("Acme Staging").await;
        assert!(staging.domain.starts_with("acme-staging-") && staging.domain.ends_with(".localhost"));
        let site = app.ctx.site_by_host(&format!("{}:8443", staging.domain)).await.unwrap().unwrap();
        assert_eq!(site.environment.id, staging.id);
        assert_eq!(site.base_url, format!("https://{}:8443", staging.domain));
        assert_eq!(app.ctx.site_by_host("evil.test").await.unwrap(), None);
        // The default environment keeps one issuer whichever of its names was used.
        let own = app.ctx.site_by_host(&app.created.environment.domain).await.unwrap().unwrap();
        assert_eq!(own.base_url, "https://localhost:8443");
    }

    /// Part of DB-020, part of LG-281: keys and credentials of their own.
    async fn a_new_environment_has_its_own_keys_and_client(test: TestDb) {
        let app = App::started(&test).await;
        let staging = app.another_environment("Staging").await;
        let listed = clients::list(&app.ctx, staging.id, &page(10, ""), &[]).await.unwrap();
        assert_eq!((listed.items.len(), listed.total_size), (1, 1));
        assert!(listed.items[0].secrets.is_empty());
        let (one, other) = (app.ctx.signing_keys(app.env()).await.unwrap(), app.ctx.signing_keys(staging.id).await.unwrap());
        assert_ne!(one.active_kid(), other.active_kid());
        assert_eq!(app.audited(staging.id).await, ["client.created", "environment.created"]);
    }

    /// DB-022: an environment of another workspace does not exist.
    async fn another_workspace_sees_nothing(test: TestDb) {
        let app = App::started(&test).await;
        let stranger: WorkspaceId = next_id();
        let (ctx, id) = (&app.ctx, app.env());
        assert!(matches!(environments::get(ctx, stranger, id).await, Err(Error::NotFound)));
        assert!(matches!(environments::rename(ctx, stranger, id, &app.actor, Some("x".to_owned())).await, Err(Error::NotFound)));
        assert!(matches!(environments::delete(ctx, stranger, id, &app.actor).await, Err(Error::NotFound)));
        assert!(environments::list(ctx, stranger, &page(10, "")).await.unwrap().items.is_empty());
    }

    /// DB-022
    async fn lists_page_and_refuse_foreign_tokens(test: TestDb) {
        let app = App::started(&test).await;
        let workspace = app.created.workspace;
        let first = environments::list(&app.ctx, workspace, &page(1, "")).await.unwrap();
        assert_eq!((first.items.len(), first.total_size), (1, 2));
        let second = environments::list(&app.ctx, workspace, &page(1, &first.next_page_token)).await.unwrap();
        assert_eq!(second.items[0].display_name, "Production");
        assert_eq!(second.next_page_token, "");
        for foreign in [format!("{}x", first.next_page_token), "junk".to_owned()] {
            let refused = environments::list(&app.ctx, workspace, &page(1, &foreign)).await.unwrap_err();
            assert_eq!(refused.code(), ErrorCode::InvalidPageToken);
        }
    }

    /// DB-023
    async fn a_domain_can_be_changed_but_not_taken(test: TestDb) {
        let app = App::started(&test).await;
        let (workspace, staging) = (app.created.workspace, app.another_environment("Staging").await);
        let change = |domain: &'static str| environments::update_domain(&app.ctx, workspace, staging.id, &app.actor, domain);
        assert_eq!(change("Auth.Acme.test").await.unwrap().domain, "auth.acme.test");
        assert_eq!(app.ctx.site_by_host("auth.acme.test").await.unwrap().unwrap().environment.id, staging.id);
        assert_eq!(app.ctx.site_by_host(&staging.domain).await.unwrap(), None, "the old host is free");
        for junk in ["no dots", "localhost", "a..b", "-a.b"] {
            assert!(matches!(environments::update_domain(&app.ctx, workspace, staging.id, &app.actor, junk).await, Err(Error::Invalid(_))), "{junk}");
        }
        let third = app.another_environment("Third").await;
        let taken = environments::update_domain(&app.ctx, workspace, third.id, &app.actor, "auth.acme.test").await;
        assert!(matches!(taken, Err(Error::DuplicateDomain)));
    }

    /// DB-022
    async fn a_deleted_environment_is_gone_and_its_host_free(test: TestDb) {
        let app = App::started(&test).await;
        let workspace = app.created.workspace;
        let staging = app.another_environment("Staging").await;
        assert!(app.ctx.site_by_host(&staging.domain).await.unwrap().is_some());
        environments::delete(&app.ctx, workspace, staging.id, &app.actor).await.unwrap();
        assert_eq!(app.ctx.site_by_host(&staging.domain).await.unwrap(), None);
        assert_eq!(app.ctx.site(staging.id).await.unwrap(), None);
        assert!(matches!(environments::delete(&app.ctx, workspace, staging.id, &app.actor).await, Err(Error::NotFound)));
        assert_eq!(environments::list(&app.ctx, workspace, &page(10, "")).await.unwrap().total_size, 2);

        let heir = app.another_environment("Heir").await;
        environments::update_domain(&app.ctx, workspace, heir.id, &app.actor, &staging.domain).await.unwrap();
        assert!(matches!(environments::delete(&app.ctx, workspace, app.env(), &app.actor).await, Err(Error::Default)));
    }
}
