use crate::fixture::{App, page};
use keystead_identity::organizations::{
    self, CreateOrganization, Error, Metadata, Organization, Patch, Selector, UpdateOrganization,
};
use keystead_store::events;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{EnvironmentId, ErrorCode, Reason};
use tokio::task::JoinSet;

pub(crate) fn named(display_name: &str, external_id: Option<&str>) -> CreateOrganization {
    CreateOrganization {
        display_name: display_name.to_owned(),
        region: None,
        external_id: external_id.map(str::to_owned),
        metadata: Metadata::new(),
        slug: None,
        logo_url: None,
    }
}

pub(crate) async fn create_in(
    app: &App,
    env: EnvironmentId,
    command: CreateOrganization,
) -> Result<Organization, Error> {
    app.tick();
    let mut tx = app.ctx.db.begin(env).await.unwrap();
    let created = organizations::create(&mut tx, &app.ctx, &app.actor, command).await?;
    tx.commit().await.unwrap();
    Ok(created)
}

async fn create(app: &App, command: CreateOrganization) -> Result<Organization, Error> {
    create_in(app, app.env(), command).await
}

async fn update(
    app: &App,
    id: keystead_types::OrganizationId,
    changes: UpdateOrganization,
) -> Result<Organization, Error> {
    app.tick();
    let mut tx = app.ctx.db.begin(app.env()).await.unwrap();
    let updated =
        organizations::update(&mut tx, &app.ctx, &app.actor, &Selector::Id(id), changes).await?;
    tx.commit().await.unwrap();
    Ok(updated)
}

async fn delete(app: &App, selector: Selector) -> Result<(), Error> {
    let mut tx = app.ctx.db.begin(app.env()).await.unwrap();
    organizations::delete(&mut tx, &app.ctx, &app.actor, &selector).await?;
    tx.commit().await.unwrap();
    Ok(())
}

async fn total(app: &App) -> u64 {
    organizations::list(&app.ctx, app.env(), &page(1, ""), None)
        .await
        .unwrap()
        .total_size
}

async fn kinds(app: &App) -> Vec<String> {
    let pending = events::pending(&mut app.ctx.db.read_admin(), 100)
        .await
        .unwrap();
    pending.into_iter().map(|event| event.kind).collect()
}

on_both_engines! {
    /// DR-001, DR-002, DR-008, part of DR-301
    async fn what_is_created_can_be_found_and_is_told(test: TestDb) {
        let app = App::started(&test).await;
        let metadata = Metadata::from([("plan".to_owned(), "pro".to_owned())]);
        let command = CreateOrganization {
            metadata: metadata.clone(),
            slug: Some("acme".to_owned()),
            logo_url: Some("https://acme.test/logo.svg".to_owned()),
            ..named("Acme", Some("ext-1"))
        };
        let created = create(&app, command).await.unwrap();
        let mut reader = app.ctx.db.read(app.env());
        assert_eq!(organizations::get(&mut reader, created.id).await.unwrap(), created);
        assert_eq!(organizations::find_by_external_id(&mut reader, "ext-1").await.unwrap(), Some(created.clone()));
        assert_eq!(organizations::metadata(&created).unwrap(), metadata);
        assert_eq!(organizations::features(&created).unwrap(), [("sso".to_owned(), false), ("dir_sync".to_owned(), false)]);

        let pending = events::pending(&mut app.ctx.db.read_admin(), 10).await.unwrap();
        assert_eq!(pending.len(), 1);
        assert_eq!((pending[0].kind.as_str(), pending[0].object.as_str()), ("organization.created", "Organization"));
        assert_eq!(pending[0].data["metadata"]["plan"], "pro");
        assert_eq!(pending[0].data["external_id"], "ext-1");
        assert_eq!(pending[0].data["region_code"], "US");
        assert!(app.audited(app.env()).await.contains(&"organization.created".to_owned()));
    }

    /// DR-002, part of DR-004: duplicates are a bad request, and nothing of the refused one remains.
    async fn external_id_and_slug_are_unique_in_the_environment(test: TestDb) {
        let app = App::started(&test).await;
        create(&app, CreateOrganization { slug: Some("acme".to_owned()), ..named("Acme", Some("ext-1")) }).await.unwrap();
        let same_id = create(&app, named("Other", Some("ext-1"))).await.unwrap_err();
        assert!(matches!(same_id, Error::DuplicateExternalId));
        assert_eq!(same_id.code(), ErrorCode::InvalidArgument);
        assert!(same_id.to_string().contains("already exists"));
        let same_slug = create(&app, CreateOrganization { slug: Some("acme".to_owned()), ..named("Other", None) }).await;
        assert!(matches!(same_slug, Err(Error::DuplicateSlug)));
        assert_eq!((total(&app).await, kinds(&app).await.len()), (1, 1));

        let elsewhere = app.another_environment("Staging").await;
        create_in(&app, elsewhere.id, named("Acme", Some("ext-1"))).await.unwrap();
    }

    /// DR-002, part of DR-005
    async fn values_the_contract_cannot_check_are_checked(test: TestDb) {
        let app = App::started(&test).await;
        for command in [
            named("Acme", Some(&"x".repeat(256))),
            CreateOrganization { logo_url: Some("http://acme.test/x".to_owned()), ..named("Acme", None) },
        ] {
            let refused = create(&app, command).await.unwrap_err();
            assert_eq!((refused.code(), refused.violations().len()), (ErrorCode::InvalidArgument, 1));
        }
        assert_eq!(total(&app).await, 0);
    }

    /// DR-006, part of DR-316
    async fn an_update_changes_what_it_names_and_nothing_else(test: TestDb) {
        let app = App::started(&test).await;
        let old = create(&app, CreateOrganization { slug: Some("acme".to_owned()), ..named("Acme", Some("ext-1")) }).await.unwrap();
        let metadata = Metadata::from([("tier".to_owned(), "gold".to_owned())]);
        let changes = UpdateOrganization { display_name: Some("Acme 2".to_owned()), metadata: Some(metadata), slug: Patch::Clear, ..UpdateOrganization::default() };
        let new = update(&app, old.id, changes).await.unwrap();
        assert_eq!((new.display_name.as_str(), new.external_id.as_deref(), new.slug.as_deref()), ("Acme 2", Some("ext-1"), None));
        assert!(new.updated_at > old.updated_at && new.created_at == old.created_at);
        assert_eq!(organizations::get(&mut app.ctx.db.read(app.env()), old.id).await.unwrap(), new);

        let same = update(&app, old.id, UpdateOrganization { display_name: Some("Acme 2".to_owned()), ..UpdateOrganization::default() }).await.unwrap();
        assert_eq!(same, new, "a change that changes nothing is not stored");
        assert_eq!(kinds(&app).await, ["organization.created", "organization.updated"]);

        create(&app, named("Other", Some("ext-2"))).await.unwrap();
        let taken = update(&app, old.id, UpdateOrganization { external_id: Patch::Set("ext-2".to_owned()), ..UpdateOrganization::default() }).await;
        assert!(matches!(taken, Err(Error::DuplicateExternalId)));
    }

    /// DR-012
    async fn features_are_switched_one_by_one(test: TestDb) {
        let app = App::started(&test).await;
        let id = create(&app, named("Acme", None)).await.unwrap().id;
        let switch = |name: &str, on| UpdateOrganization { features: vec![(name.to_owned(), on)], ..UpdateOrganization::default() };
        update(&app, id, switch("sso", true)).await.unwrap();
        let both = update(&app, id, switch("directory_sync", true)).await.unwrap();
        assert_eq!(organizations::features(&both).unwrap(), [("sso".to_owned(), true), ("dir_sync".to_owned(), true)]);
        assert!(matches!(update(&app, id, switch("teleport", true)).await, Err(Error::Invalid(_))));
    }

    /// Part of DR-301, DR-002, DR-007, part of DR-010
    async fn a_deleted_organization_frees_its_names(test: TestDb) {
        let app = App::started(&test).await;
        let old = create(&app, CreateOrganization { slug: Some("acme".to_owned()), ..named("Acme", Some("ext-1")) }).await.unwrap();
        delete(&app, Selector::ExternalId("ext-1".to_owned())).await.unwrap();
        assert!(matches!(organizations::get(&mut app.ctx.db.read(app.env()), old.id).await, Err(Error::NotFound)));
        assert!(matches!(delete(&app, Selector::Id(old.id)).await, Err(Error::NotFound)));
        assert_eq!(total(&app).await, 0);
        create(&app, CreateOrganization { slug: Some("acme".to_owned()), ..named("Acme", Some("ext-1")) }).await.unwrap();
        let pending = events::pending(&mut app.ctx.db.read_admin(), 10).await.unwrap();
        assert_eq!(pending[1].kind, "organization.deleted");
        assert!(pending[1].data["deleted_at"].is_string());
    }

    /// DR-008: newest first, tokens both ways, a total without counting.
    async fn lists_page_newest_first(test: TestDb) {
        let app = App::started(&test).await;
        for number in 0..7 {
            create(&app, named(&format!("Org {number}"), Some(&format!("ext-{number}")))).await.unwrap();
        }
        let names = |page: &keystead_types::Page<Organization>| page.items.iter().map(|one| one.display_name.clone()).collect::<Vec<_>>();
        let list = async |token: &str| organizations::list(&app.ctx, app.env(), &page(3, token), None).await.unwrap();
        let first = list("").await;
        assert_eq!((names(&first), first.total_size, first.prev_page_token.as_str()), (vec!["Org 6".to_owned(), "Org 5".to_owned(), "Org 4".to_owned()], 7, ""));
        let second = list(&first.next_page_token).await;
        let third = list(&second.next_page_token).await;
        assert_eq!((names(&third), third.next_page_token.as_str()), (vec!["Org 0".to_owned()], ""));
        let back = list(&third.prev_page_token).await;
        assert_eq!(names(&back), names(&second));

        let exact = organizations::list(&app.ctx, app.env(), &page(3, ""), Some("ext-2")).await.unwrap();
        assert_eq!((names(&exact), exact.total_size), (vec!["Org 2".to_owned()], 1));
        let elsewhere = app.another_environment("Staging").await;
        let foreign = organizations::list(&app.ctx, elsewhere.id, &page(3, &first.next_page_token), None).await;
        assert!(matches!(foreign, Err(Error::InvalidPageToken)));
        assert_eq!(organizations::list(&app.ctx, elsewhere.id, &page(3, ""), None).await.unwrap().total_size, 0);
    }

    /// DR-008: the total is exact after any mixture of successes and failures.
    async fn the_total_is_exact_under_concurrency(test: TestDb) {
        let app = App::started(&test).await;
        let mut tasks = JoinSet::new();
        for number in 0..40 {
            let (ctx, actor, env) = (app.ctx.clone(), app.actor.clone(), app.env());
            tasks.spawn(async move {
                let mut tx = ctx.db.begin(env).await.unwrap();
                // Every external id is tried twice.
                let command = named("Org", Some(&format!("ext-{}", number / 2)));
                match organizations::create(&mut tx, &ctx, &actor, command).await {
                    Ok(_) => tx.commit().await.is_ok(),
                    Err(_) => false,
                }
            });
        }
        let made = tasks.join_all().await.into_iter().filter(|made| *made).count();
        assert_eq!((made, total(&app).await), (20, 20));
    }

    /// DR 4.3: an organization of another environment does not exist.
    async fn other_environments_see_nothing(test: TestDb) {
        let app = App::started(&test).await;
        let elsewhere = app.another_environment("Staging").await;
        let theirs = create_in(&app, elsewhere.id, named("Theirs", Some("ext-1"))).await.unwrap();
        assert!(matches!(organizations::get(&mut app.ctx.db.read(app.env()), theirs.id).await, Err(Error::NotFound)));
        assert!(matches!(delete(&app, Selector::Id(theirs.id)).await, Err(Error::NotFound)));
        assert!(matches!(delete(&app, Selector::ExternalId("ext-1".to_owned())).await, Err(Error::NotFound)));
        assert!(matches!(update(&app, theirs.id, UpdateOrganization::default()).await, Err(Error::NotFound)));
    }
}
