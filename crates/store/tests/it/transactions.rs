//! Commit, roll-back and failure of transactions.

use keystead_store::{Execute, Fetch, OnUnique, Query, Sql, StoreError, admin_sql, leases, sql};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Timestamp;
use std::time::Duration;

const MOVE: Sql = sql!(
    "test.move",
    "UPDATE environments SET domain = $2 WHERE id = $1"
);
const PUT: Sql = sql!(
    "test.put",
    "INSERT INTO kinds (n, t, b, d) VALUES ($1, $2, $3, $4)"
);
const GET: Sql = sql!(
    "test.get",
    "SELECT n, t, b, d, n IS NULL AS absent FROM kinds ORDER BY n IS NULL"
);
// Takes long enough to be cut off.
const MANY: Sql = sql!(
    "test.many",
    "INSERT INTO counters (env_id, name, lane, value)
     WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20000)
     SELECT CAST($1 AS TEXT), CAST(n AS TEXT), 0, n FROM numbers"
);
const COUNTERS: Sql = sql!(
    "test.counters",
    "SELECT name, value FROM counters WHERE env_id = $1 ORDER BY name"
);
const ADD: Sql = sql!(
    "test.add",
    "INSERT INTO counters (env_id, name, lane, value) VALUES ($1, $2, 0, $3)"
);

async fn names(test: &TestDb, env: keystead_types::EnvironmentId) -> Vec<String> {
    let rows = test.db.read(env).fetch_all(COUNTERS, (env,)).await.unwrap();
    rows.iter().map(|row| row.get("name").unwrap()).collect()
}

on_both_engines! {
    async fn what_is_committed_stays_and_what_is_dropped_does_not(test: TestDb) {
        let env = test.environment().await;
        let mut kept = test.db.begin(env).await.unwrap();
        kept.execute(ADD, (env, "kept", 1_i64)).await.unwrap();
        kept.commit().await.unwrap();
        let mut dropped = test.db.begin(env).await.unwrap();
        dropped.execute(ADD, (env, "dropped", 1_i64)).await.unwrap();
        drop(dropped);
        // The next transaction comes after the roll-back.
        test.db.begin(env).await.unwrap().commit().await.unwrap();
        assert_eq!(names(&test, env).await, ["kept"]);
    }

    async fn readers_see_nothing_before_the_commit_and_everything_after_it(test: TestDb) {
        let env = test.environment().await;
        let mut tx = test.db.begin(env).await.unwrap();
        tx.execute(ADD, (env, "a", 1_i64)).await.unwrap();
        assert_eq!(tx.fetch_all(COUNTERS, (env,)).await.unwrap().len(), 1);
        assert!(names(&test, env).await.is_empty());
        tx.commit().await.unwrap();
        assert_eq!(names(&test, env).await, ["a"]);
    }

    async fn a_failed_statement_ends_its_transaction(test: TestDb) {
        let env = test.environment().await;
        let mut tx = test.db.begin(env).await.unwrap();
        tx.execute(ADD, (env, "a", 1_i64)).await.unwrap();
        let twice = tx.execute(ADD, (env, "a", 1_i64)).await;
        assert!(twice.unwrap_err().is_unique_violation("counters_pkey"));
        let later = tx.execute(ADD, (env, "b", 1_i64)).await;
        assert_eq!(later, Err(StoreError::Failed { statement: "test.add" }));
        assert_eq!(tx.commit().await, Err(StoreError::Failed { statement: "commit" }));
        assert!(names(&test, env).await.is_empty());
    }

    async fn a_statement_that_was_cut_off_ends_its_transaction(test: TestDb) {
        let env = test.environment().await;
        let mut tx = test.db.begin(env).await.unwrap();
        {
            let mut statement = Box::pin(tx.execute(MANY, (env,)));
            // Polled once, so it was sent, and then dropped.
            assert!(futures_util::poll!(&mut statement).is_pending());
        }
        assert_eq!(tx.commit().await, Err(StoreError::Failed { statement: "commit" }));
        let mut next = test.db.begin(env).await.unwrap();
        next.execute(ADD, (env, "next", 1_i64)).await.unwrap();
        next.commit().await.unwrap();
        assert_eq!(names(&test, env).await, ["next"]);
    }

    async fn unique_violations_carry_the_name_of_the_index(test: TestDb) {
        #[derive(Debug, PartialEq)]
        enum Conflict { Taken, Other(StoreError) }
        impl From<StoreError> for Conflict {
            fn from(error: StoreError) -> Self { Self::Other(error) }
        }
        let env = test.environment().await;
        test.run("UPDATE environments SET domain = 'same.acme.test'").await.unwrap();
        let other = test.environment().await;
        let mut tx = test.db.begin(env).await.unwrap();
        let taken = tx.execute(MOVE, (other, "same.acme.test")).await.on_unique("environments_domain", |_| Conflict::Taken);
        assert_eq!(taken, Err(Conflict::Taken));
        let mut tx = test.db.begin(env).await.unwrap();
        let other = tx.execute(MOVE, (other, "same.acme.test")).await.on_unique("environments_other", |_| Conflict::Taken);
        assert!(matches!(other, Err(Conflict::Other(StoreError::Unique { .. }))), "{other:?}");
    }

    async fn a_broken_reference_is_a_foreign_key_error(test: TestDb) {
        let env = test.environment().await;
        let nobody: keystead_types::EnvironmentId = "env_1".parse().unwrap();
        let mut tx = test.db.begin(env).await.unwrap();
        let refused = tx.execute(ADD, (nobody, "a", 1_i64)).await;
        assert_eq!(refused, Err(StoreError::ForeignKey { statement: "test.add" }));
    }

    async fn values_of_all_types_and_their_nulls_come_back_as_they_went(test: TestDb) {
        test.run(format!("CREATE TABLE kinds (n BIGINT, t TEXT, b BOOLEAN, d {})",
            if test.db.engine() == keystead_store::Engine::Sqlite { "BLOB" } else { "BYTEA" })).await.unwrap();
        let mut tx = test.db.begin_admin().await.unwrap();
        tx.execute(PUT, (Timestamp::from_micros(-5), "it's; ünïcode \u{10ffff}", true, vec![0_u8, 255])).await.unwrap();
        tx.execute(PUT, (None::<i64>, None::<String>, None::<bool>, None::<Vec<u8>>)).await.unwrap();
        let rows = tx.fetch_all(GET, ()).await.unwrap();
        assert_eq!(rows[0].get::<Timestamp>("n").unwrap(), Timestamp::from_micros(-5));
        assert_eq!(rows[0].get::<String>("t").unwrap(), "it's; ünïcode \u{10ffff}");
        assert!(rows[0].get::<bool>("b").unwrap());
        assert_eq!(rows[0].get::<[u8; 2]>("d").unwrap(), [0, 255]);
        assert!(!rows[0].get::<bool>("absent").unwrap());
        assert_eq!(rows[1].get::<Option<i64>>("n").unwrap(), None);
        assert_eq!(rows[1].get::<Option<String>>("t").unwrap(), None);
        assert_eq!(rows[1].get::<Option<bool>>("b").unwrap(), None);
        assert_eq!(rows[1].get::<Option<Vec<u8>>>("d").unwrap(), None);
        assert!(matches!(rows[1].get::<i64>("n"), Err(StoreError::Column { column: "n", .. })));
        assert!(matches!(rows[0].get::<[u8; 3]>("d"), Err(StoreError::Column { .. })));
        assert!(matches!(rows[0].get::<i64>("nothing"), Err(StoreError::Column { .. })));
    }

    async fn one_row_is_one_row(test: TestDb) {
        let env = test.environment().await;
        let mut tx = test.db.begin(env).await.unwrap();
        for name in ["a", "b"] {
            tx.execute(ADD, (env, name, 1_i64)).await.unwrap();
        }
        let two = tx.fetch_optional(COUNTERS, (tx.env(),)).await;
        assert_eq!(two.err(), Some(StoreError::RowCount { statement: "test.counters", found: 2 }));
    }

    async fn an_admin_transaction_can_work_in_an_environment(test: TestDb) {
        let env = test.environment().await;
        let mut tx = test.db.begin_admin().await.unwrap();
        let scoped = tx.in_environment(env);
        scoped.execute(ADD, (scoped.env(), "a", 1_i64)).await.unwrap();
        let now = Timestamp::from_secs(1);
        leases::acquire(&mut tx, "x", "me", now, now.plus(Duration::from_secs(1))).await.unwrap().unwrap();
        let across = admin_sql!("test.across", "SELECT count(*) AS found FROM counters");
        let row = tx.fetch_optional(across, ()).await.unwrap().unwrap();
        assert_eq!(row.get::<u64>("found").unwrap(), 1);
        tx.commit().await.unwrap();
        assert_eq!(names(&test, env).await, ["a"]);
    }
}
