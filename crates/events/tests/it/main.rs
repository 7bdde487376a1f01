//! Outbox and audit chains on both engines.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing helper fails its test"
)]

use keystead_events::{
    AuditRecord, ChainFault, Envelope, NewEvent, Outcome, VerifyError, audit, emit, verify,
};
use keystead_store::{audit_records, events};
use keystead_testkit::{
    engines::{TestDb, next_id},
    on_both_engines,
};
use keystead_types::{EnvironmentId, OrganizationId, Timestamp};
use serde_json::json;
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

fn record(target: &str) -> AuditRecord<'_> {
    AuditRecord {
        id: next_id(),
        actor: "skc_123456789012345",
        action: "organizations.create",
        target,
        outcome: Outcome::Success,
        detail: json!({ "z": 1, "a": "ü" }),
        request_id: "req_1",
        at: NOW,
    }
}

/// Two records in each transaction, several lanes.
async fn trail(test: &TestDb, transactions: u64) -> EnvironmentId {
    let env = test.environment().await;
    for number in 0..transactions {
        let mut tx = test.db.begin(env).await.unwrap();
        audit(&mut tx, &record(&format!("org_{number}")))
            .await
            .unwrap();
        audit(&mut tx, &record("")).await.unwrap();
        tx.commit().await.unwrap();
    }
    env
}

async fn fault(test: &TestDb, env: EnvironmentId, sabotage: &str) -> ChainFault {
    assert!(verify(&mut test.db.read(env)).await.is_ok());
    assert!(
        test.run(sabotage).await.unwrap() > 0,
        "{sabotage} changed nothing"
    );
    match verify(&mut test.db.read(env)).await {
        Err(VerifyError::Broken { fault, .. }) => fault,
        other => panic!("{sabotage}: {other:?}"),
    }
}

const SOME_LANE: &str = "(SELECT min(lane) FROM audit_heads)";

on_both_engines! {
    async fn an_event_exists_exactly_when_its_transaction_committed(test: TestDb) {
        let env = test.environment().await;
        let organization: OrganizationId = next_id();
        let event = NewEvent {
            id: next_id(),
            kind: "organization.created",
            object: "Organization",
            organization_id: Some(organization),
            display_name: Some("Acme"),
            data: json!({ "id": organization.to_string() }),
            at: NOW,
        };
        let mut dropped = test.db.begin(env).await.unwrap();
        emit(&mut dropped, &event).await.unwrap();
        drop(dropped);
        assert!(events::pending(&mut test.db.read_admin(), 10).await.unwrap().is_empty());

        let mut tx = test.db.begin(env).await.unwrap();
        let emitted = emit(&mut tx, &event).await.unwrap();
        tx.commit().await.unwrap();
        let pending = events::pending(&mut test.db.read_admin(), 10).await.unwrap();
        assert_eq!(pending.len(), 1);
        assert_eq!(Envelope::of(&pending[0]), emitted, "what is stored is what will be sent");
        assert_eq!((pending[0].id, pending[0].environment, &pending[0].data), (event.id, env, &event.data));
        let latest = events::latest(&mut test.db.read(env), NOW, "~", 10).await.unwrap();
        assert_eq!(latest, pending);

        for expected in [true, false] {
            let mut tx = test.db.begin(env).await.unwrap();
            assert_eq!(events::dispatched(&mut tx, event.id, NOW).await.unwrap(), expected);
            tx.commit().await.unwrap();
        }
        assert!(events::pending(&mut test.db.read_admin(), 10).await.unwrap().is_empty());
    }

    /// Part of AK-620, part of DR-260: the form of an event, to the letter; what is unknown is left out.
    async fn an_event_has_its_envelope(test: TestDb) {
        let env = test.environment().await;
        let organization: OrganizationId = next_id();
        let event = NewEvent {
            id: next_id(),
            kind: "connected_account.created",
            object: "ConnectedAccount",
            organization_id: Some(organization),
            display_name: Some("Connected account created"),
            data: json!({ "id": "ca_1" }),
            at: Timestamp::from_micros(1_700_000_000_250_000),
        };
        let mut tx = test.db.begin(env).await.unwrap();
        let full = emit(&mut tx, &event).await.unwrap();
        let bare = NewEvent { id: next_id(), organization_id: None, display_name: None, ..event.clone() };
        let bare = emit(&mut tx, &bare).await.unwrap();
        tx.commit().await.unwrap();
        let id = event.id.to_string();
        assert!(id.starts_with("evt_"));
        assert_eq!(serde_json::to_value(&full).unwrap(), json!({
            "spec_version": "1", "id": id, "type": "connected_account.created", "object": "ConnectedAccount",
            "occurred_at": "2023-11-14T22:13:20.250000000Z", "environment_id": env.to_string(),
            "organization_id": organization.to_string(), "display_name": "Connected account created",
            "data": { "id": "ca_1" },
        }));
        let bare = serde_json::to_value(&bare).unwrap();
        assert!(bare.get("organization_id").is_none() && bare.get("display_name").is_none(), "{bare}");
    }

    async fn concurrent_writers_make_whole_chains_and_other_environments_are_apart(test: TestDb) {
        let (one, other) = (test.environment().await, test.environment().await);
        let mut tasks = JoinSet::new();
        for number in 0..60 {
            let db = test.db.clone();
            let env = if number % 2 == 0 { one } else { other };
            tasks.spawn(async move {
                let mut tx = db.begin(env).await.unwrap();
                audit(&mut tx, &record("org_1")).await.unwrap();
                audit(&mut tx, &record("org_2")).await.unwrap();
                if number % 10 == 0 {
                    return; // rolled back: leaves no gap
                }
                tx.commit().await.unwrap();
            });
        }
        tasks.join_all().await;
        let (first, second) = (verify(&mut test.db.read(one)).await.unwrap(), verify(&mut test.db.read(other)).await.unwrap());
        assert_eq!((first.records, second.records), (48, 60));
        assert_ne!(first.anchor, second.anchor);
        let latest = audit_records::latest(&mut test.db.read(one), NOW.plus(std::time::Duration::from_secs(1)), "~", 100).await.unwrap();
        assert_eq!(latest.len(), 48);
        assert_eq!(latest[0].detail, r#"{"z":1,"a":"ü"}"#);
    }

    async fn an_empty_trail_is_whole(test: TestDb) {
        let env = test.environment().await;
        assert_eq!(verify(&mut test.db.read(env)).await.unwrap().records, 0);
    }

    async fn every_changed_field_is_noticed(test: TestDb) {
        for change in ["actor = 'skc_9'", "action = 'x'", "target = 'org_9'", "outcome = 'denied'", "detail = '{}'",
            "request_id = 'r'", "occurred_at = occurred_at + 1", "id = 'aud_9'"] {
            let env = trail(&test, 3).await;
            let sabotage = format!("UPDATE audit_records SET {change} WHERE sequence = 2 AND env_id = '{env}' AND lane = \
                (SELECT min(lane) FROM audit_heads WHERE env_id = '{env}')");
            assert_eq!(fault(&test, env, &sabotage).await, ChainFault::Changed, "{change}");
        }
    }

    async fn a_removed_record_is_noticed(test: TestDb) {
        let env = trail(&test, 3).await;
        let first = format!("DELETE FROM audit_records WHERE sequence = 1 AND lane = {SOME_LANE}");
        assert_eq!(fault(&test, env, &first).await, ChainFault::Missing);
    }

    async fn a_removed_end_is_noticed(test: TestDb) {
        let env = trail(&test, 3).await;
        let last = format!("DELETE FROM audit_records WHERE sequence = 2 AND lane = {SOME_LANE}");
        assert_eq!(fault(&test, env, &last).await, ChainFault::Missing);
    }

    async fn a_chain_that_was_cut_back_together_with_its_head_is_noticed_by_the_hash(test: TestDb) {
        let env = trail(&test, 3).await;
        let head = format!("UPDATE audit_heads SET sequence = 1 WHERE lane = {SOME_LANE}");
        assert_eq!(fault(&test, env, &head).await, ChainFault::WrongEnd);
    }

    async fn a_lane_whose_head_was_removed_is_noticed(test: TestDb) {
        let env = trail(&test, 3).await;
        let head = format!("DELETE FROM audit_heads WHERE lane = {SOME_LANE}");
        assert_eq!(fault(&test, env, &head).await, ChainFault::Stray);
    }

    async fn the_anchor_changes_with_every_record(test: TestDb) {
        let env = trail(&test, 20).await;
        let before = verify(&mut test.db.read(env)).await.unwrap();
        assert_eq!(before, verify(&mut test.db.read(env)).await.unwrap());
        let mut tx = test.db.begin(env).await.unwrap();
        audit(&mut tx, &record("org_1")).await.unwrap();
        tx.commit().await.unwrap();
        let after = verify(&mut test.db.read(env)).await.unwrap();
        assert_eq!(after.records, before.records + 1);
        assert_ne!(after.anchor, before.anchor);
    }
}
