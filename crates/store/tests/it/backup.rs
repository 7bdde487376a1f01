//! Backups: whole, noticed when damaged, restorable on either engine.

use keystead_store::{
    Engine, Execute, Fetch, GroupLimits, Sql,
    backup::{self, BackupError},
    installation,
    jobs::{self, NewJob},
    leases, sql,
};
use keystead_testkit::{
    engines::{TestDb, next_id},
    on_both_engines,
};
use keystead_types::{EnvironmentId, Timestamp};
use serde_json::json;
use std::{os::unix::fs::PermissionsExt, time::Duration};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const ADD: Sql = sql!(
    "test.add",
    "INSERT INTO counters (env_id, name, lane, value) VALUES ($1, $2, 0, $3)"
);
const KEY: Sql = sql!(
    "test.key",
    "INSERT INTO data_keys (env_id, version, wrapped, status, created_at) VALUES ($1, 1, $2, 'active', $3)"
);
const COUNTERS: Sql = sql!(
    "test.counters",
    "SELECT name, value FROM counters WHERE env_id = $1 ORDER BY value"
);
const WRAPPED: Sql = sql!(
    "test.wrapped",
    "SELECT wrapped FROM data_keys WHERE env_id = $1"
);

/// More rows than a batch, all types, NULLs, and things that must not be copied.
async fn fill(test: &TestDb) -> EnvironmentId {
    let env = test.environment().await;
    let mut tx = test.db.begin(env).await.unwrap();
    for number in 0..1201_i64 {
        tx.execute(ADD, (env, format!("n\u{e9}\n\"{number}\""), number))
            .await
            .unwrap();
    }
    tx.execute(KEY, (env, (0..=255_u8).collect::<Vec<_>>(), NOW))
        .await
        .unwrap();
    let payload = json!({ "a": 1 });
    let job = NewJob {
        id: next_id(),
        kind: "k",
        payload: &payload,
        unique_key: None,
        run_at: NOW,
        max_attempts: 3,
        created_at: NOW,
    };
    jobs::enqueue(&mut tx, &job).await.unwrap();
    leases::acquire(&mut tx, "x", "me", NOW, NOW.plus(Duration::from_secs(1)))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    env
}

async fn check(test: &TestDb, env: EnvironmentId) {
    let counters = test.db.read(env).fetch_all(COUNTERS, (env,)).await.unwrap();
    assert_eq!(counters.len(), 1201);
    assert_eq!(
        counters[1200].get::<String>("name").unwrap(),
        "n\u{e9}\n\"1200\""
    );
    let key = test
        .db
        .read(env)
        .fetch_optional(WRAPPED, (env,))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        key.get::<Vec<u8>>("wrapped").unwrap(),
        (0..=255).collect::<Vec<u8>>()
    );
    let mut tx = test.db.begin_admin().await.unwrap();
    let claimed = jobs::claim(&mut tx, "node", NOW, NOW, 10).await.unwrap();
    assert_eq!(
        (claimed.len(), &claimed[0].payload),
        (1, &json!({ "a": 1 }))
    );
    assert!(
        leases::acquire(&mut tx, "x", "other", NOW, NOW)
            .await
            .unwrap()
            .is_some(),
        "leases are not restored"
    );
    // References and unique keys hold in the restored database, under their names.
    let (applied, latest) = test.db.schema_version().await.unwrap();
    assert_eq!(applied, latest);
    let mut tx = {
        drop(tx);
        test.db.begin(env).await.unwrap()
    };
    let twice = tx
        .execute(ADD, (env, "n\u{e9}\n\"0\"", 1_i64))
        .await
        .unwrap_err();
    assert!(twice.is_unique_violation("counters_pkey"));
}

on_both_engines! {
    async fn a_backup_restores_on_either_engine(test: TestDb) {
        let env = fill(&test).await;
        let path = test.folder().join("backup");
        let made = backup::create(&test.db, &path, NOW).await.unwrap();
        assert_eq!(backup::verify(&path).await.unwrap(), made);
        assert_eq!(made.created_at, NOW);
        assert!(made.tables.contains(&("counters".to_owned(), 1201)));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!test.folder().join("backup.partial").exists());

        for engine in [Engine::Sqlite, Engine::Postgres] {
            let Some(target) = TestDb::empty(engine).await else { continue };
            assert_eq!(backup::restore(&target.db, &path).await.unwrap(), made);
            check(&target, env).await;
            // The copy of the copy is the same but for the header.
            let again = target.folder().join("again");
            assert_eq!(backup::create(&target.db, &again, NOW).await.unwrap().tables.len(), made.tables.len());
            let refused = backup::restore(&target.db, &path).await;
            assert!(matches!(refused, Err(BackupError::NotEmpty)), "{refused:?}");
        }
        let refused = backup::create(&test.db, &path, NOW).await;
        assert!(matches!(refused, Err(BackupError::File(_))), "an existing file is not overwritten");
    }

    async fn a_backup_tells_which_root_key_it_needs(test: TestDb) {
        let path = |name: &str| test.folder().join(name);
        backup::create(&test.db, &path("new"), NOW).await.unwrap();
        assert_eq!(backup::root_key_fingerprint(&path("new")).await.unwrap(), None);
        let env = test.environment().await;
        let mut tx = test.db.begin_admin().await.unwrap();
        assert!(installation::insert(&mut tx, "of the key", env, NOW).await.unwrap());
        tx.commit().await.unwrap();
        backup::create(&test.db, &path("started"), NOW).await.unwrap();
        let found = backup::root_key_fingerprint(&path("started")).await.unwrap();
        assert_eq!(found.as_deref(), Some("of the key"));
    }

    async fn a_backup_is_of_one_moment_although_writers_go_on(test: TestDb) {
        let env = test.environment().await;
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let writer = tokio::spawn({
            let (db, stop) = (test.db.clone(), std::sync::Arc::clone(&stop));
            async move {
                let mut number = 0_i64;
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    let mut tx = db.begin(env).await.unwrap();
                    // Always in pairs, in two tables.
                    tx.execute(ADD, (env, format!("{number}"), number)).await.unwrap();
                    let payload = json!({});
                    let job = NewJob { id: next_id(), kind: "k", payload: &payload, unique_key: None, run_at: NOW, max_attempts: 3, created_at: NOW };
                    jobs::enqueue(&mut tx, &job).await.unwrap();
                    tx.commit().await.unwrap();
                    number += 1;
                }
            }
        });
        for round in 0..10 {
            let made = backup::create(&test.db, &test.folder().join(format!("{round}")), NOW).await.unwrap();
            let rows = |name: &str| made.tables.iter().find(|(table, _)| table == name).unwrap().1;
            assert_eq!(rows("counters"), rows("jobs"));
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn every_flipped_byte_and_every_cut_is_noticed() {
    let test = TestDb::on(Engine::Sqlite).await.unwrap();
    let env = test.environment().await;
    let mut tx = test.db.begin(env).await.unwrap();
    tx.execute(ADD, (env, "a", 1_i64)).await.unwrap();
    tx.commit().await.unwrap();
    let (path, damaged) = (test.folder().join("backup"), test.folder().join("damaged"));
    backup::create(&test.db, &path, NOW).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    for index in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[index] ^= 1;
        std::fs::write(&damaged, &bytes).unwrap();
        let result = backup::verify(&damaged).await;
        assert!(
            matches!(result, Err(BackupError::Damaged { .. })),
            "byte {index}: {result:?}"
        );
    }
    for length in (0..whole.len()).step_by(7) {
        std::fs::write(&damaged, &whole[..length]).unwrap();
        assert!(
            matches!(
                backup::verify(&damaged).await,
                Err(BackupError::Damaged { .. })
            ),
            "cut at {length}"
        );
    }
    std::fs::write(&damaged, [&whole[..], b"\n"].concat()).unwrap();
    assert!(matches!(
        backup::verify(&damaged).await,
        Err(BackupError::Damaged { .. })
    ));
    // A damaged backup leaves the database empty, so that a good one can follow.
    let target = TestDb::empty(Engine::Sqlite).await.unwrap();
    assert!(backup::restore(&target.db, &damaged).await.is_err());
    assert_eq!(target.db.schema_version().await.unwrap().0, 0);
    backup::restore(&target.db, &path).await.unwrap();
}

/// What one engine holds and the other cannot is named by table and row, and nothing is restored.
#[tokio::test]
async fn a_row_that_cannot_be_stored_is_named() {
    let test = TestDb::on(Engine::Sqlite).await.unwrap();
    let env = test.environment().await;
    let mut tx = test.db.begin(env).await.unwrap();
    for number in 0..250_i64 {
        let name = match number {
            230 => "n230\0".to_owned(),
            number => format!("n{number:03}"),
        };
        tx.execute(ADD, (env, name, number)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let path = test.folder().join("backup");
    backup::create(&test.db, &path, NOW).await.unwrap();
    let Some(target) = TestDb::empty(Engine::Postgres).await else {
        return;
    };
    let refused = backup::restore(&target.db, &path).await.unwrap_err();
    let BackupError::Row { table, row, .. } = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!((table.as_str(), *row), ("counters", 231));
    let told = "row 231 of the table counters cannot be stored: ";
    assert!(refused.to_string().starts_with(told), "{refused}");
    assert!(refused.to_string().contains("character"), "{refused}");
    assert_eq!(target.db.schema_version().await.unwrap().0, 0);
}

/// Neither fills the memory nor waits for somebody to write.
#[tokio::test]
async fn another_file_than_a_backup_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (long, fifo) = (folder.path().join("long"), folder.path().join("fifo"));
    let file = std::fs::File::create(&long).unwrap();
    file.set_len(65 * 1024 * 1024).unwrap();
    let refused = backup::verify(&long).await.unwrap_err();
    assert!(
        refused.to_string().contains("longer than 64 MiB"),
        "{refused}"
    );
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    for path in [&fifo, &folder.path().to_path_buf()] {
        let refused = backup::verify(path).await.unwrap_err();
        assert!(
            refused.to_string().contains("not a regular file"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_backup_of_a_later_release_is_refused() {
    let test = TestDb::on(Engine::Sqlite).await.unwrap();
    test.run("INSERT INTO _migrations (version, name, checksum) VALUES (9999, 'future', 'x')")
        .await
        .unwrap();
    let path = test.folder().join("backup");
    backup::create(&test.db, &path, NOW).await.unwrap();
    let target = TestDb::empty(Engine::Sqlite).await.unwrap();
    for refused in [
        backup::verify(&path).await,
        backup::restore(&target.db, &path).await,
    ] {
        assert!(
            matches!(refused, Err(BackupError::TooNew { backup: 9999, .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_second_process_can_back_up_a_sqlite_file_in_use() {
    let test = TestDb::on(Engine::Sqlite).await.unwrap();
    let env = test.environment().await;
    let mut open = test.db.begin(env).await.unwrap();
    open.execute(ADD, (env, "open", 1_i64)).await.unwrap();
    let second = test.open_again(GroupLimits::default()).await;
    let made = backup::create(&second, &test.folder().join("backup"), NOW)
        .await
        .unwrap();
    assert!(made.tables.contains(&("counters".to_owned(), 0)));
    open.commit().await.unwrap();
}
