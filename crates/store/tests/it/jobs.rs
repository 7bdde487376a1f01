//! Background work.

use keystead_store::{
    Execute, Query, Sql,
    jobs::{self, Job, NewJob, Retry},
    sql,
};
use keystead_testkit::{
    engines::{TestDb, next_id},
    on_both_engines,
};
use keystead_types::{JobId, Timestamp};
use serde_json::json;
use std::{collections::HashSet, time::Duration};
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn job<'a>(payload: &'a serde_json::Value, unique_key: Option<&'a str>) -> NewJob<'a> {
    NewJob {
        id: next_id(),
        kind: "mail.send",
        payload,
        unique_key,
        run_at: NOW,
        max_attempts: 2,
        created_at: NOW,
    }
}

async fn enqueue(test: &TestDb, count: u64) -> Vec<JobId> {
    let env = test.environment().await;
    let mut tx = test.db.begin(env).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..count {
        let payload = json!({ "number": number });
        let new = job(&payload, None);
        assert!(jobs::enqueue(&mut tx, &new).await.unwrap());
        ids.push(new.id);
    }
    tx.commit().await.unwrap();
    ids
}

async fn claim(test: &TestDb, now: Timestamp, limit: u32) -> Vec<Job> {
    let mut tx = test.db.begin_admin().await.unwrap();
    let claimed = jobs::claim(
        &mut tx,
        "node",
        now,
        now.plus(Duration::from_secs(30)),
        limit,
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    claimed
}

on_both_engines! {
    async fn workers_that_claim_together_never_get_the_same_job(test: TestDb) {
        let ids = enqueue(&test, 100).await;
        let mut tasks = JoinSet::new();
        for worker in 0..10 {
            let db = test.db.clone();
            tasks.spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let mut tx = db.begin_admin().await.unwrap();
                    let claimed = jobs::claim(&mut tx, &format!("worker {worker}"), NOW, at(30), 7).await.unwrap();
                    tx.commit().await.unwrap();
                    if claimed.is_empty() {
                        return mine;
                    }
                    mine.extend(claimed.into_iter().map(|job| job.id));
                }
            });
        }
        let claimed: Vec<JobId> = tasks.join_all().await.into_iter().flatten().collect();
        assert_eq!(claimed.len(), 100);
        assert_eq!(claimed.into_iter().collect::<HashSet<_>>(), ids.into_iter().collect());
    }

    async fn a_job_exists_only_when_its_transaction_commits(test: TestDb) {
        let env = test.environment().await;
        let mut tx = test.db.begin(env).await.unwrap();
        jobs::enqueue(&mut tx, &job(&json!({}), None)).await.unwrap();
        drop(tx);
        assert!(claim(&test, NOW, 10).await.is_empty());
    }

    async fn a_claimed_job_comes_back_when_its_node_dies_and_the_dead_node_cannot_finish_it(test: TestDb) {
        enqueue(&test, 1).await;
        let first = claim(&test, NOW, 10).await.remove(0);
        assert!(first.environment.is_some());
        assert_eq!(first.payload, json!({ "number": 0 }));
        assert!(claim(&test, at(29), 10).await.is_empty(), "leased");

        let second = claim(&test, at(30), 10).await.remove(0);
        assert_eq!((second.id, second.attempt), (first.id, 2));
        let mut tx = test.db.begin_admin().await.unwrap();
        assert!(!jobs::extend(&mut tx, &first, at(31), at(90)).await.unwrap());
        assert!(!jobs::complete(&mut tx, &first).await.unwrap());
        assert_eq!(jobs::retry(&mut tx, &first, at(31), "late").await.unwrap(), Retry::Lost);
        assert!(jobs::extend(&mut tx, &second, at(31), at(90)).await.unwrap());
        assert!(jobs::complete(&mut tx, &second).await.unwrap());
        assert!(!jobs::complete(&mut tx, &second).await.unwrap());
        tx.commit().await.unwrap();
        assert!(claim(&test, at(1000), 10).await.is_empty());
    }

    async fn a_job_that_fails_waits_and_after_its_tries_it_is_dead_until_it_is_wanted_again(test: TestDb) {
        let (env, payload) = (test.environment().await, json!({"try": 1}));
        let mut tx = test.db.begin(env).await.unwrap();
        assert!(jobs::enqueue(&mut tx, &job(&payload, Some("ca_1"))).await.unwrap());
        tx.commit().await.unwrap();
        for (now, expected) in [(NOW, Retry::Later), (at(60), Retry::Dead)] {
            let claimed = claim(&test, now, 10).await.remove(0);
            let mut tx = test.db.begin_admin().await.unwrap();
            assert_eq!(jobs::retry(&mut tx, &claimed, at(60), "connection refused").await.unwrap(), expected);
            tx.commit().await.unwrap();
            assert!(claim(&test, at(59), 10).await.is_empty());
        }
        assert!(claim(&test, at(9999), 10).await.is_empty());
        assert_eq!(jobs::count(&mut test.db.read_admin()).await.unwrap(), [("dead".to_owned(), 1)]);

        let payload = json!({"try": 2});
        for expected in [true, false] {
            let mut tx = test.db.begin(env).await.unwrap();
            assert_eq!(jobs::enqueue(&mut tx, &job(&payload, Some("ca_1"))).await.unwrap(), expected);
            tx.commit().await.unwrap();
        }
        let claimed = claim(&test, at(9999), 10).await;
        assert_eq!((claimed.len(), claimed[0].attempt, &claimed[0].payload), (1, 1, &payload));
    }

    async fn a_job_that_kills_its_nodes_is_set_aside(test: TestDb) {
        enqueue(&test, 1).await;
        assert_eq!(claim(&test, at(0), 10).await.len(), 1);
        assert_eq!(claim(&test, at(100), 10).await.len(), 1);
        assert!(claim(&test, at(200), 10).await.is_empty());
        assert_eq!(jobs::count(&mut test.db.read_admin()).await.unwrap(), [("dead".to_owned(), 1)]);
    }

    async fn a_unique_key_holds_within_environment_and_kind_while_the_job_exists(test: TestDb) {
        let (one, other) = (test.environment().await, test.environment().await);
        let payload = json!({});
        for (env, expected) in [(one, true), (one, false), (other, true)] {
            let mut tx = test.db.begin(env).await.unwrap();
            assert_eq!(tx.env(), env);
            assert_eq!(jobs::enqueue(&mut tx, &job(&payload, Some("ca_1"))).await.unwrap(), expected);
            tx.commit().await.unwrap();
        }
        for done in claim(&test, NOW, 10).await {
            let mut tx = test.db.begin_admin().await.unwrap();
            assert!(jobs::complete(&mut tx, &done).await.unwrap());
            tx.commit().await.unwrap();
        }
        let mut tx = test.db.begin_admin().await.unwrap();
        assert!(jobs::enqueue(tx.in_environment(one), &job(&payload, Some("ca_1"))).await.unwrap());
    }

    async fn work_and_its_result_are_stored_together_or_not_at_all(test: TestDb) {
        const RESULT: Sql = sql!("test.result", "INSERT INTO counters (env_id, name, lane, value) VALUES ($1, 'result', 0, 1)");
        enqueue(&test, 1).await;
        let first = claim(&test, NOW, 1).await.remove(0);
        let env = first.environment.unwrap();
        // Taken over meanwhile: the late worker must not store its result.
        let second = claim(&test, at(30), 1).await.remove(0);
        for (job, expected) in [(&first, false), (&second, true)] {
            let mut tx = test.db.begin_admin().await.unwrap();
            tx.in_environment(env).execute(RESULT, (env,)).await.unwrap();
            if jobs::complete(&mut tx, job).await.unwrap() {
                tx.commit().await.unwrap();
                assert!(expected);
            } else {
                assert!(!expected);
            }
        }
    }
}

#[test]
fn the_wait_after_a_failure_doubles_up_to_an_hour() {
    let mut job = Job {
        id: next_id(),
        environment: None,
        kind: "mail.send".to_owned(),
        payload: json!({}),
        attempt: 0,
        max_attempts: 100,
    };
    for (attempt, seconds) in [(1, 2), (2, 4), (5, 32), (12, 3600), (99, 3600)] {
        job.attempt = attempt;
        let wait = jobs::backoff(&job);
        let base = Duration::from_secs(seconds);
        assert!(
            wait >= base && wait <= base + base / 2,
            "{attempt}: {wait:?}"
        );
    }
}
