//! Migrations, and the two schemas side by side.

use keystead_store::{Engine, StoreError};
use keystead_testkit::{engines::TestDb, on_both_engines};
use tokio::task::JoinSet;

on_both_engines! {
    async fn nodes_that_migrate_together_do_it_once(test: TestDb) {
        let empty = TestDb::empty(test.db.engine()).await.unwrap();
        assert_eq!(empty.db.schema_version().await.unwrap().0, 0);
        let mut tasks = JoinSet::new();
        for _ in 0..4 {
            let db = empty.db.clone();
            tasks.spawn(async move { db.migrate().await });
        }
        for result in tasks.join_all().await {
            result.unwrap();
        }
        let (applied, latest) = empty.db.schema_version().await.unwrap();
        assert_eq!(applied, latest);
        assert!(latest >= 3);
    }

    async fn a_changed_migration_is_refused(test: TestDb) {
        test.run("UPDATE _migrations SET checksum = 'x' WHERE version = 1").await.unwrap();
        let refused = test.db.migrate().await;
        assert!(matches!(&refused, Err(StoreError::Migration(what)) if what.contains("0001")), "{refused:?}");
    }

    async fn a_database_of_a_later_release_is_refused(test: TestDb) {
        test.run("INSERT INTO _migrations (version, name, checksum) VALUES (9999, 'future', 'x')").await.unwrap();
        let refused = test.db.migrate().await;
        assert!(matches!(&refused, Err(StoreError::Migration(what)) if what.contains("9999_future")), "{refused:?}");
    }
}

#[tokio::test]
async fn both_engines_have_the_same_schema() {
    let sqlite = TestDb::on(Engine::Sqlite).await.unwrap();
    let Some(postgres) = TestDb::on(Engine::Postgres).await else {
        return;
    };
    let (left, right) = (
        sqlite.db.describe().await.unwrap(),
        postgres.db.describe().await.unwrap(),
    );
    assert!(
        left.iter().any(|line| line.starts_with("organizations.")),
        "{left:?}"
    );
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these
            .iter()
            .filter(|line| !those.contains(line))
            .cloned()
            .collect()
    };
    assert_eq!(only(&left, &right), Vec::<String>::new(), "only in SQLite");
    assert_eq!(
        only(&right, &left),
        Vec::<String>::new(),
        "only in PostgreSQL"
    );
    assert!(!left.iter().any(|line| line.contains("deferred")));
}
