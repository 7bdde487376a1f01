//! Node numbers.

use keystead_store::nodes;
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Timestamp;
use std::{collections::HashSet, time::Duration};
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

on_both_engines! {
    async fn processes_that_start_together_get_different_numbers(test: TestDb) {
        let mut tasks = JoinSet::new();
        for process in 0..20 {
            let db = test.db.clone();
            tasks.spawn(async move {
                let mut tx = db.begin_admin().await.unwrap();
                let node = nodes::claim(&mut tx, &format!("process {process}"), NOW, at(30)).await.unwrap().unwrap();
                tx.commit().await.unwrap();
                node.number
            });
        }
        let numbers: HashSet<u16> = tasks.join_all().await.into_iter().collect();
        assert_eq!(numbers.len(), 20);
        assert!(numbers.iter().all(|number| *number < nodes::NODE_NUMBERS));
    }

    async fn a_number_comes_back_when_its_process_is_gone_and_all_others_are_in_use(test: TestDb) {
        let mut tx = test.db.begin_admin().await.unwrap();
        let gone = nodes::claim(&mut tx, "gone", NOW, at(30)).await.unwrap().unwrap();
        for process in 1..nodes::NODE_NUMBERS {
            let node = nodes::claim(&mut tx, &format!("{process}"), NOW, at(1000)).await.unwrap().unwrap();
            assert_ne!(node.number, gone.number);
        }
        assert_eq!(nodes::claim(&mut tx, "late", at(29), at(60)).await.unwrap(), None);
        assert!(nodes::heartbeat(&mut tx, &gone, at(29), at(40)).await.unwrap());
        let late = nodes::claim(&mut tx, "late", at(40), at(70)).await.unwrap().unwrap();
        assert_eq!(late.number, gone.number);
        assert!(!nodes::heartbeat(&mut tx, &gone, at(41), at(70)).await.unwrap(), "it must stop");
        assert!(!nodes::release(&mut tx, &gone, at(41)).await.unwrap());
        assert!(nodes::release(&mut tx, &late, at(41)).await.unwrap());
        assert!(nodes::claim(&mut tx, "next", at(41), at(70)).await.unwrap().is_some());
    }
}
