use crate::{
    fixture::{App, page},
    organizations::{create_in, named},
};
use keystead_identity::organizations::{self, Error, Selector, UpdateOrganization};
use keystead_testkit::{engines::TestDb, on_both_engines};

async fn found(app: &App, query: &str) -> Vec<String> {
    let page = organizations::search(&app.ctx, app.env(), &page(30, ""), query)
        .await
        .unwrap();
    page.items.into_iter().map(|one| one.display_name).collect()
}

on_both_engines! {
    /// DR-009
    async fn any_part_of_name_external_id_or_id_matches(test: TestDb) {
        let app = App::started(&test).await;
        let acme = create_in(&app, app.env(), named("Acme Corporation International", Some("CRM-7781"))).await.unwrap();
        create_in(&app, app.env(), named("Globex 100%_sure", None)).await.unwrap();
        create_in(&app, app.env(), named("Zürich Öl AG", None)).await.unwrap();
        let elsewhere = app.another_environment("Staging").await;
        create_in(&app, elsewhere.id, named("Acme elsewhere", None)).await.unwrap();

        let acme_name = vec!["Acme Corporation International".to_owned()];
        for query in ["acme", "CORP", "ration inter", "acme corporation international", "crm-77", "7781"] {
            assert_eq!(found(&app, query).await, acme_name, "{query}");
        }
        let id = acme.id.to_string();
        assert_eq!(found(&app, &id).await, acme_name);
        assert_eq!(found(&app, id.trim_start_matches("org_")).await, acme_name);
        assert_eq!(found(&app, "0%_s").await, ["Globex 100%_sure"]);
        assert_eq!(found(&app, "ürich ö").await, ["Zürich Öl AG"]);
        for absent in ["acme corporation internationale", "0%%s", "nothing", "crm-7781x", "internationalcrm"] {
            assert_eq!(found(&app, absent).await, [""; 0], "{absent}");
        }
    }

    /// DR-009: what no longer has the name is no longer found by it.
    async fn the_index_follows_changes(test: TestDb) {
        let app = App::started(&test).await;
        let old = create_in(&app, app.env(), named("Initech", None)).await.unwrap();
        let mut tx = app.ctx.db.begin(app.env()).await.unwrap();
        let changes = UpdateOrganization { display_name: Some("Umbrella".to_owned()), ..UpdateOrganization::default() };
        organizations::update(&mut tx, &app.ctx, &app.actor, &Selector::Id(old.id), changes).await.unwrap();
        tx.commit().await.unwrap();
        assert!(found(&app, "initech").await.is_empty());
        assert_eq!(found(&app, "mbrel").await, ["Umbrella"]);

        let mut tx = app.ctx.db.begin(app.env()).await.unwrap();
        organizations::delete(&mut tx, &app.ctx, &app.actor, &Selector::Id(old.id)).await.unwrap();
        tx.commit().await.unwrap();
        assert!(found(&app, "mbrel").await.is_empty());
        assert_eq!(test.run("DELETE FROM organization_suffixes").await.unwrap(), 0, "nothing is left in the index");
    }

    /// DR-009
    async fn searches_page_newest_first_whether_matches_are_few_or_many(test: TestDb) {
        let app = App::started(&test).await;
        for number in 0..7 {
            create_in(&app, app.env(), named(&format!("Company {number}"), None)).await.unwrap();
        }
        // Far more candidates than are read one by one.
        let filler = format!(
            "INSERT INTO organization_suffixes (env_id, suffix, organization_id)
             WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 3000)
             SELECT '{}', 'company', 'org_' || n FROM numbers", app.env());
        for many in [false, true] {
            if many {
                test.run(filler.clone()).await.unwrap();
            }
            let mut names = Vec::new();
            let mut token = String::new();
            loop {
                let page = organizations::search(&app.ctx, app.env(), &page(3, &token), "company").await.unwrap();
                assert_eq!(page.total_size, if many { 2_000 } else { 7 });
                names.extend(page.items.into_iter().map(|one| one.display_name));
                token = page.next_page_token;
                if token.is_empty() {
                    break;
                }
            }
            let expected: Vec<String> = (0..7).rev().map(|number| format!("Company {number}")).collect();
            assert_eq!(names, expected, "many: {many}");
        }
        let first = organizations::search(&app.ctx, app.env(), &page(3, ""), "company").await.unwrap();
        let other = organizations::search(&app.ctx, app.env(), &page(3, &first.next_page_token), "comp").await;
        assert!(matches!(other, Err(Error::InvalidPageToken)), "a token belongs to its query");
    }
}
