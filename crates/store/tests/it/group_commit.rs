//! Group commit of SQLite: fewer commits, the same promises.

use keystead_store::{
    DatabaseConfig, Db, Engine, Execute, Fetch, GroupLimits, Sql, StoreError, Synchronous, sql,
};
use keystead_testkit::engines::TestDb;
use keystead_types::EnvironmentId;
use std::{os::unix::fs::PermissionsExt, time::Duration};
use tokio::task::JoinSet;

const BAD: Sql = sql!("test.bad", "INSERT INTO late (name) VALUES ('nobody')");
const ADD: Sql = sql!(
    "test.add",
    "INSERT INTO counters (env_id, name, lane, value) VALUES ($1, $2, 0, $3)"
);
const COUNT: Sql = sql!(
    "test.count",
    "SELECT count(*) AS found FROM counters WHERE env_id = $1"
);

async fn sqlite() -> (TestDb, EnvironmentId) {
    let test = TestDb::on(Engine::Sqlite).await.unwrap();
    let env = test.environment().await;
    (test, env)
}

async fn count(db: &Db, env: EnvironmentId) -> u64 {
    let row = db
        .read(env)
        .fetch_optional(COUNT, (env,))
        .await
        .unwrap()
        .unwrap();
    row.get("found").unwrap()
}

async fn add(db: &Db, env: EnvironmentId, name: String) -> Result<(), StoreError> {
    let mut tx = db.begin(env).await?;
    tx.execute(ADD, (env, name, 1_i64)).await?;
    tx.commit().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_transactions_share_few_commits() {
    const WRITERS: u64 = 64;
    const EACH: u64 = 10;
    let (test, env) = sqlite().await;
    let before = test.db.write_counters();
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let db = test.db.clone();
        tasks.spawn(async move {
            for number in 0..EACH {
                add(&db, env, format!("{writer}/{number}")).await.unwrap();
                // Acknowledged means visible to others.
                assert!(count(&db, env).await > number);
            }
        });
    }
    tasks.join_all().await;
    let after = test.db.write_counters();
    let (transactions, commits) = (
        after.transactions - before.transactions,
        after.commits - before.commits,
    );
    assert_eq!(transactions, WRITERS * EACH);
    assert!(
        commits * 3 <= transactions,
        "{commits} commits for {transactions} transactions"
    );
    assert_eq!(count(&test.db, env).await, WRITERS * EACH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_transaction_does_not_wait_for_company() {
    let (test, env) = sqlite().await;
    let slow = test
        .open_again(GroupLimits {
            delay: Duration::from_secs(3600),
            size: usize::MAX,
        })
        .await;
    tokio::time::timeout(Duration::from_secs(5), add(&slow, env, "alone".to_owned()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(slow.write_counters().commits, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_group_is_committed_although_others_wait() {
    let (test, env) = sqlite().await;
    let pairs = test
        .open_again(GroupLimits {
            delay: Duration::from_secs(3600),
            size: 2,
        })
        .await;
    let mut tasks = JoinSet::new();
    for writer in 0..20 {
        let db = pairs.clone();
        tasks.spawn(async move { add(&db, env, writer.to_string()).await.unwrap() });
    }
    tasks.join_all().await;
    assert!(
        pairs.write_counters().commits >= 10,
        "{:?}",
        pairs.write_counters()
    );
}

async fn until_waiting(db: &Db, count: u64) {
    while db.write_counters().waiting < count {
        tokio::task::yield_now().await;
    }
}

/// Begins a transaction and lets others queue behind it, so that all are in one group.
async fn one_group(
    db: &Db,
    env: EnvironmentId,
    others: Vec<(&'static str, EnvironmentId)>,
) -> Vec<Result<(), StoreError>> {
    let mut first = db.begin(env).await.unwrap();
    let count = others.len() as u64;
    let mut tasks = JoinSet::new();
    for (index, (name, in_env)) in others.into_iter().enumerate() {
        let db = db.clone();
        tasks.spawn(async move {
            let done = async {
                let mut tx = db.begin(env).await?;
                tx.execute(ADD, (in_env, name, 1_i64)).await?;
                tx.commit().await
            };
            (index, done.await)
        });
    }
    until_waiting(db, count).await;
    first.execute(ADD, (env, "first", 1_i64)).await.unwrap();
    let mut results = vec![(usize::MAX, first.commit().await)];
    results.extend(tasks.join_all().await);
    results.sort_by_key(|(index, _)| index.wrapping_add(1));
    results.into_iter().map(|(_, result)| result).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_transaction_undoes_only_itself() {
    let (test, env) = sqlite().await;
    let db = test
        .open_again(GroupLimits {
            delay: Duration::from_secs(3600),
            size: usize::MAX,
        })
        .await;
    let nobody: EnvironmentId = "env_1".parse().unwrap();
    let results = one_group(
        &db,
        env,
        vec![("a", env), ("bad", nobody), ("b", env), ("a", env)],
    )
    .await;
    let failed = results.iter().filter(|result| result.is_err()).count();
    assert_eq!(failed, 2, "{results:?}");
    assert!(results[0].is_ok());
    assert_eq!(
        results[2],
        Err(StoreError::ForeignKey {
            statement: "test.add"
        })
    );
    assert_eq!(db.write_counters().commits, 1, "they were one group");
    assert_eq!(count(&db, env).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_outer_commit_fails_every_member_of_the_group_is_told() {
    let (test, env) = sqlite().await;
    // A constraint that is checked only by the outer COMMIT; the product has none.
    test.run(
        "CREATE TABLE late (name TEXT REFERENCES leases (name) DEFERRABLE INITIALLY DEFERRED)",
    )
    .await
    .unwrap();
    let db = test
        .open_again(GroupLimits {
            delay: Duration::from_secs(3600),
            size: usize::MAX,
        })
        .await;

    let mut first = db.begin(env).await.unwrap();
    let others: Vec<_> = ["a", "b"]
        .into_iter()
        .map(|name| {
            tokio::spawn({
                let db = db.clone();
                async move { add(&db, env, name.to_owned()).await }
            })
        })
        .collect();
    until_waiting(&db, 2).await;
    first.execute(BAD, ()).await.unwrap();
    let result = first.commit().await;
    assert!(
        matches!(result, Err(StoreError::NotCommitted { .. })),
        "{result:?}"
    );
    for other in others {
        let result = other.await.unwrap();
        assert!(
            matches!(result, Err(StoreError::NotCommitted { .. })),
            "{result:?}"
        );
    }
    assert_eq!(count(&db, env).await, 0);
    add(&db, env, "after".to_owned()).await.unwrap();
    assert_eq!(count(&db, env).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_give_up_leave_nothing_behind_and_stop_nobody() {
    let (test, env) = sqlite().await;
    let mut tasks = JoinSet::new();
    for number in 0..200_u64 {
        let db = test.db.clone();
        tasks.spawn(async move {
            let work = async {
                let mut tx = db.begin(env).await.unwrap();
                tx.execute(ADD, (env, format!("a{number}"), 1_i64))
                    .await
                    .unwrap();
                tx.execute(ADD, (env, format!("b{number}"), 1_i64))
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
                true
            };
            // Cut off at different points.
            tokio::time::timeout(Duration::from_micros(number * 50), work)
                .await
                .unwrap_or(false)
        });
    }
    let finished = tasks
        .join_all()
        .await
        .into_iter()
        .filter(|done| *done)
        .count() as u64;
    add(&test.db, env, "last".to_owned()).await.unwrap();
    let rows = count(&test.db, env).await;
    // Both rows or none; a commit whose answer nobody waited for may still count.
    assert_eq!(rows % 2, 1, "half a transaction was stored");
    assert!(
        rows > finished * 2,
        "{rows} rows of {finished} finished transactions"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_transactions_survive_the_loss_of_the_process() {
    let (test, env) = sqlite().await;
    add(&test.db, env, "kept".to_owned()).await.unwrap();
    let mut open = test.db.begin(env).await.unwrap();
    open.execute(ADD, (env, "open", 1_i64)).await.unwrap();
    // The files as they are now, with the transaction open: what a crash leaves.
    let copy = test.folder().join("copy.db");
    for ending in ["", "-wal"] {
        let from = format!("{}{ending}", test.folder().join("keystead.db").display());
        std::fs::copy(from, format!("{}{ending}", copy.display())).unwrap();
    }
    let after = Db::open(&DatabaseConfig::Sqlite {
        path: copy,
        synchronous: Synchronous::Full,
    })
    .await
    .unwrap();
    assert_eq!(count(&after, env).await, 1);
    drop(open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_owner_may_read_the_files() {
    let (test, env) = sqlite().await;
    add(&test.db, env, "a".to_owned()).await.unwrap();
    let path = test.folder().join("keystead.db");
    let mode = |ending: &str| {
        std::fs::metadata(format!("{}{ending}", path.display()))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!([mode(""), mode("-wal"), mode("-shm")], [0o600; 3]);

    test.db.close().await;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let again = test.open_again(GroupLimits::default()).await;
    assert_eq!(mode(""), 0o600);
    drop(again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_empties_the_log_and_a_closed_database_says_so() {
    let (test, env) = sqlite().await;
    add(&test.db, env, "a".to_owned()).await.unwrap();
    let log = test.folder().join("keystead.db-wal");
    assert!(std::fs::metadata(&log).unwrap().len() > 0);
    test.db.checkpoint().await.unwrap();
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);

    test.db.close().await;
    assert!(matches!(
        test.db.begin(env).await.err(),
        Some(StoreError::Unavailable { .. })
    ));
    assert!(!log.exists(), "closing removes the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_disk_is_full_exactly_what_was_acknowledged_is_stored() {
    let (test, env) = sqlite().await;
    // A limit of the writer's connection stands for the disk: SQLite fails in the same way.
    test.run("PRAGMA max_page_count = 200").await.unwrap();
    let mut tasks = JoinSet::new();
    for writer in 0..16 {
        let db = test.db.clone();
        tasks.spawn(async move {
            let mut stored = 0;
            for number in 0..50 {
                let name = format!("{writer}/{number}/{}", "x".repeat(1000));
                stored += u64::from(add(&db, env, name).await.is_ok());
            }
            stored
        });
    }
    let stored: u64 = tasks.join_all().await.into_iter().sum();
    assert!((1..800).contains(&stored), "{stored}");
    assert_eq!(count(&test.db, env).await, stored);
}
