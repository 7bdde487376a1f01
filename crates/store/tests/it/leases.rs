//! Leases under competition.

use keystead_store::leases;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Timestamp;
use std::time::Duration;
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const TTL: Duration = Duration::from_secs(30);

on_both_engines! {
    async fn of_many_that_want_a_lease_one_gets_it(test: TestDb) {
        let mut tasks = JoinSet::new();
        for number in 0..50 {
            let db = test.db.clone();
            tasks.spawn(async move {
                let mut tx = db.begin_admin().await.unwrap();
                let lease = leases::acquire(&mut tx, "refresh/ca_1", &format!("task {number}"), NOW, NOW.plus(TTL)).await.unwrap();
                tx.commit().await.unwrap();
                lease
            });
        }
        let holders: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
        assert_eq!(holders.len(), 1);
        assert_eq!(holders[0].version, 1);
    }

    async fn a_lease_is_renewed_lost_and_given_back(test: TestDb) {
        let mut tx = test.db.begin_admin().await.unwrap();
        let first = leases::acquire(&mut tx, "x", "first", NOW, NOW.plus(TTL)).await.unwrap().unwrap();
        let at = |seconds| NOW.plus(Duration::from_secs(seconds));
        assert!(leases::renew(&mut tx, &first, at(29), at(60)).await.unwrap());
        assert_eq!(leases::acquire(&mut tx, "x", "second", at(59), at(90)).await.unwrap(), None);
        assert!(!leases::renew(&mut tx, &first, at(60), at(90)).await.unwrap(), "expired, so no renewal");

        let second = leases::acquire(&mut tx, "x", "second", at(60), at(90)).await.unwrap().unwrap();
        assert!(second.version > first.version);
        assert!(!leases::release(&mut tx, &first, at(61)).await.unwrap(), "a late holder frees nothing");
        assert!(leases::release(&mut tx, &second, at(61)).await.unwrap());
        assert!(leases::acquire(&mut tx, "x", "third", at(61), at(62)).await.unwrap().is_some());
        assert_eq!(leases::purge(&mut tx, at(62), 10).await.unwrap(), 0);
        assert_eq!(leases::purge(&mut tx, at(63), 10).await.unwrap(), 1);
    }
}
