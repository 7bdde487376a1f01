//! Changes of different fields at the same moment: none is lost.

use crate::{
    fixture::{App, page},
    organizations::{create_in, named},
};
use keystead_identity::{
    environments, members,
    organizations::{self, Patch, Selector, UpdateOrganization},
    workspaces,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::OrganizationId;

const ROUNDS: usize = 8;

async fn update(app: &App, id: OrganizationId, changes: UpdateOrganization) {
    let mut tx = app.ctx.db.begin(app.env()).await.unwrap();
    organizations::update(&mut tx, &app.ctx, &app.actor, &Selector::Id(id), changes)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

on_both_engines! {
    /// Part of DR-006
    async fn fields_of_an_organization_are_changed_one_by_one(test: TestDb) {
        let app = App::started(&test).await;
        let id = create_in(&app, app.env(), named("Acme", None)).await.unwrap().id;
        for round in 0..ROUNDS {
            let text = |what: &str| format!("{what}-{round}");
            let same = UpdateOrganization::default;
            tokio::join!(
                update(&app, id, UpdateOrganization { display_name: Some(text("name")), ..same() }),
                update(&app, id, UpdateOrganization { external_id: Patch::Set(text("ext")), ..same() }),
                update(&app, id, UpdateOrganization { slug: Patch::Set(text("slug")), ..same() }),
                update(&app, id, UpdateOrganization { features: vec![("sso".to_owned(), round % 2 == 0)], ..same() }),
            );
            let stored = organizations::get(&mut app.ctx.db.read(app.env()), id).await.unwrap();
            assert_eq!((stored.display_name, stored.external_id, stored.slug), (text("name"), Some(text("ext")), Some(text("slug"))));
            assert!(stored.features.contains(&format!("\"sso\":{}", round % 2 == 0)), "{}", stored.features);
        }
        let found = organizations::search(&app.ctx, app.env(), &page(10, ""), "name-").await.unwrap();
        assert_eq!(found.total_size, 1, "its index follows");
    }

    /// Part of DB-022, part of DB-023
    async fn name_and_host_of_an_environment_are_changed_one_by_one(test: TestDb) {
        let app = App::started(&test).await;
        let (ctx, actor, workspace, id) = (&app.ctx, &app.actor, app.created.workspace, app.env());
        for round in 0..ROUNDS {
            let (name, domain) = (format!("Live {round}"), format!("auth{round}.acme.test"));
            let renamed = environments::rename(ctx, workspace, id, actor, Some(name.clone()));
            let moved = environments::update_domain(ctx, workspace, id, actor, &domain);
            tokio::try_join!(renamed, moved).unwrap();
            let stored = environments::get(ctx, workspace, id).await.unwrap();
            assert_eq!((stored.display_name, stored.domain), (name, domain));
        }
    }

    /// Part of DB-005, part of DB-043
    async fn a_workspace_and_its_members_are_changed_one_by_one(test: TestDb) {
        let app = App::started(&test).await;
        let (ctx, id, ada) = (&app.ctx, app.created.workspace, app.created.member.id);
        for round in 0..ROUNDS {
            let name = format!("Ada {round}");
            let context = format!("{{\"round\":{round}}}");
            let renamed = workspaces::rename(ctx, id, name.clone());
            tokio::try_join!(renamed, workspaces::set_context(ctx, id, context.clone())).unwrap();
            let stored = workspaces::get(ctx, id).await.unwrap();
            assert_eq!((stored.display_name, stored.context), (name.clone(), context));

            let first = members::update(ctx, id, ada, |member| member.first_name.clone_from(&name));
            let last = members::update(ctx, id, ada, |member| member.last_name.clone_from(&name));
            tokio::try_join!(first, last).unwrap();
            let stored = members::get(ctx, id, ada).await.unwrap();
            assert_eq!((stored.first_name, stored.last_name), (name.clone(), name));
        }
    }
}
