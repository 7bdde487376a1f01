use crate::fixture::{App, page};
use keystead_identity::members::{self, Error, NewMember, Role};
use keystead_testkit::{
    engines::{TestDb, next_id},
    on_both_engines,
};

fn new(email: &str) -> NewMember {
    NewMember {
        email: email.to_owned(),
        first_name: String::new(),
        last_name: String::new(),
        role: Role::Member,
    }
}

on_both_engines! {
    /// Part of DB-040, part of DB-043
    async fn members_are_added_once_and_listed(test: TestDb) {
        let app = App::started(&test).await;
        let workspace = app.created.workspace;
        app.tick();
        let grace = members::add(&app.ctx, workspace, new("grace@acme.test")).await.unwrap();
        assert!(matches!(members::add(&app.ctx, workspace, new("GRACE@acme.test")).await, Err(Error::DuplicateEmail)));
        assert!(matches!(members::add(&app.ctx, workspace, new("grace")).await, Err(Error::InvalidEmail)));

        let first = members::list(&app.ctx, workspace, &page(1, "")).await.unwrap();
        assert_eq!((first.items[0].email.as_str(), first.total_size), ("Ada@acme.test", 2));
        let second = members::list(&app.ctx, workspace, &page(1, &first.next_page_token)).await.unwrap();
        assert_eq!(second.items[0].id, grace.id);
        assert!(matches!(members::list(&app.ctx, next_id(), &page(1, &first.next_page_token)).await, Err(Error::InvalidPageToken)));

        let renamed = members::update(&app.ctx, workspace, grace.id, |member| "Grace".clone_into(&mut member.first_name)).await.unwrap();
        assert_eq!(renamed, members::get(&app.ctx, workspace, grace.id).await.unwrap());
        assert_eq!(renamed.first_name, "Grace");
        assert!(matches!(members::get(&app.ctx, next_id(), grace.id).await, Err(Error::NotFound)));
        assert!(matches!(members::update(&app.ctx, next_id(), grace.id, |_| ()).await, Err(Error::NotFound)));
    }

    /// Part of DB-040, part of DB-041: an administrator always stays, also when two delete each other at
    /// the same time.
    async fn members_are_deleted_but_never_the_last_administrator(test: TestDb) {
        let app = App::started(&test).await;
        let (ctx, actor, workspace) = (&app.ctx, &app.actor, app.created.workspace);
        let ada = app.created.member.id;
        let grace = members::add(ctx, workspace, new("grace@acme.test")).await.unwrap();
        let last = members::delete(ctx, actor, workspace, ada).await;
        assert!(matches!(last, Err(Error::LastAdministrator)), "{last:?}");
        assert!(matches!(members::delete(ctx, actor, next_id(), grace.id).await, Err(Error::NotFound)));
        members::delete(ctx, actor, workspace, grace.id).await.unwrap();
        assert!(matches!(members::delete(ctx, actor, workspace, grace.id).await, Err(Error::NotFound)));
        let written = "UPDATE audit_records SET actor = actor WHERE action = 'member.deleted'";
        assert_eq!(test.run(written.to_owned()).await.unwrap(), 2, "in each environment");

        for round in 0..5 {
            let admin = NewMember { role: Role::Admin, ..new(&format!("admin{round}@acme.test")) };
            members::add(ctx, workspace, admin).await.unwrap();
            let all = members::list(ctx, workspace, &page(10, "")).await.unwrap().items;
            let [one, other] = [all[0].id, all[1].id].map(|id| members::delete(ctx, actor, workspace, id));
            let (one, other) = tokio::join!(one, other);
            assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
            assert_eq!(members::list(ctx, workspace, &page(10, "")).await.unwrap().total_size, 1);
        }
    }
}
