use crate::fixture::{App, NOW, ROOT_KEY, context, plan};
use keystead_identity::upkeep::{self, UpkeepPlan};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Timestamp;
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Adds to every table that is tidied a row that ended at `at`; `name` tells the rows apart.
async fn seed(test: &TestDb, app: &App, name: &str, at: Timestamp) {
    let (env, member, at) = (app.env(), app.created.member.id, at.as_micros());
    let far = NOW.plus(DAY * 10_000).as_micros();
    for statement in [
        format!("INSERT INTO member_sessions VALUES ('ended {name}', 'ses_1', '{member}', 1, {far}, {at})"),
        format!("INSERT INTO member_sessions VALUES ('idle {name}', 'ses_2', '{member}', 1, {at}, {far})"),
        format!("INSERT INTO login_codes VALUES ('{name}', 'a@b.test', 'hash', 0, 1, {at}, NULL)"),
        format!("INSERT INTO sign_in_limits VALUES ('{name}', 'try', '', 1, {at})"),
        format!("INSERT INTO portal_sessions VALUES ('{env}', '{name}', 'ses_3', 'ca_1', 1, {at}, NULL)"),
        format!("INSERT INTO auth_links VALUES ('{env}', 'link {name}', '{name}', 'ca_1', 'u', '', '', 1, {at}, NULL)"),
        // A trip of a link that lives on.
        format!("INSERT INTO auth_links VALUES ('{env}', 'old {name}', 'old {name}', 'ca_1', 'u', '', '', 1, {far}, NULL)"),
        format!("INSERT INTO auth_flows VALUES ('{env}', '{name}', 'old {name}', 'conn_1', '{name}', 'b', 's', '[]', 1, {at}, NULL)"),
        format!("INSERT INTO leases VALUES ('{name}', 'node_2', 1, {at})"),
        format!("INSERT INTO jobs VALUES ('dead {name}', NULL, 'k', '{{}}', NULL, 'dead', 1, 1, 1, NULL, NULL, {at})"),
        format!("INSERT INTO jobs VALUES ('queued {name}', NULL, 'k', '{{}}', NULL, 'queued', 0, 1, {far}, NULL, NULL, {at})"),
        format!("INSERT INTO events VALUES ('{env}', '{name}', 'k', 'o', NULL, NULL, '{{}}', {at}, NULL)"),
        format!("INSERT INTO tool_calls VALUES ('{env}', '{name}', '{name}', 'API', 't', 'p', 'conn_1', 'c', 'ca_1', 'u',
             'success', 200, '', 1, {at})"),
        format!("INSERT INTO account_history VALUES ('{env}', 'ca_1', '{name}', 'k', '', {at})"),
        format!("INSERT INTO connection_tests (env_id, id, connection_id, status, error, error_description, created_at)
             VALUES ('{env}', '{name}', 'conn_1', 'SUCCESS', '', '', {at})"),
    ] {
        assert_eq!(test.run(statement.clone()).await.unwrap(), 1, "{statement}");
    }
}

/// An account for the links to belong to.
async fn account(test: &TestDb, app: &App) {
    let env = app.env();
    for statement in [
        format!("INSERT INTO connections VALUES ('{env}', 'conn_1', 'k', 'k', 'p', 'OAUTH', 's', true, 'm', '{{}}', NULL, 1, 1, 1)"),
        format!("INSERT INTO connected_accounts (env_id, id, connection_id, identifier, organization_id, user_id, status,
                 status_reason, api_config, scopes, credential_version, refresh_failures, is_org_wide, created_at, updated_at)
             VALUES ('{env}', 'ca_1', 'conn_1', 'u', '', '', 'ACTIVE', '', '{{}}', '[]', 0, 0, false, 1, 1)"),
    ] {
        assert_eq!(test.run(statement.clone()).await.unwrap(), 1, "{statement}");
    }
}

/// Rows of a table whose text names `name`, found by taking them away.
async fn taken(test: &TestDb, table: &str, filter: &str) -> u64 {
    test.run(format!("DELETE FROM {table} WHERE {filter}"))
        .await
        .unwrap()
}

on_both_engines! {
    /// Part of DB-250: what nothing looks at any more goes, what lives or is waited for stays.
    async fn expired_rows_are_removed_and_live_ones_stay(test: TestDb) {
        let app = App::started(&test).await;
        account(&test, &app).await;
        taken(&test, "events", "1 = 1").await;
        seed(&test, &app, "long ago", NOW.minus(DAY * 91)).await;
        seed(&test, &app, "just now", NOW.minus(HOUR / 2)).await;
        seed(&test, &app, "later", NOW.plus(HOUR)).await;
        let done = upkeep::run(&app.ctx, &plan(), &|| false).await.unwrap().unwrap();
        // Of the old rows: two member sessions, code, count, portal session, link, trip, lease, dead
        // job, event, call, entry of history, test. Of those that ended just now: a member and a portal session, code, count.
        assert_eq!((done.removed, done.rotated), (17, 0));
        for (table, filter, left) in [
            ("member_sessions", "id = 'ses_1'", 1),
            ("member_sessions", "id = 'ses_2'", 2),
            ("login_codes", "1 = 1", 1),
            ("sign_in_limits", "1 = 1", 1),
            ("portal_sessions", "1 = 1", 1),
            ("auth_flows", "1 = 1", 2),
            ("auth_links", "id LIKE 'link %'", 2),
            ("auth_links", "id LIKE 'old %'", 3),
            ("leases", "holder = 'node_2'", 2),
            ("jobs", "state = 'queued'", 3),
            ("jobs", "state = 'dead'", 2),
            ("events", "1 = 1", 2),
            ("tool_calls", "1 = 1", 2),
            ("account_history", "1 = 1", 2),
            ("connection_tests", "1 = 1", 2),
        ] {
            assert_eq!(taken(&test, table, filter).await, left, "{table} {filter}");
        }
    }

    /// Part of DB-250
    async fn what_is_to_be_kept_for_ever_stays(test: TestDb) {
        let app = App::started(&test).await;
        account(&test, &app).await;
        taken(&test, "events", "1 = 1").await;
        seed(&test, &app, "long ago", NOW.minus(DAY * 5_000)).await;
        let for_ever = UpkeepPlan { events: None, calls: None, ..plan() };
        upkeep::run(&app.ctx, &for_ever, &|| false).await.unwrap().unwrap();
        for table in ["events", "account_history", "tool_calls", "connection_tests"] {
            assert_eq!(taken(&test, table, "1 = 1").await, 1, "{table}");
        }
    }

    async fn rows_go_in_batches_until_it_is_time_to_stop(test: TestDb) {
        let app = App::started(&test).await;
        taken(&test, "events", "1 = 1").await;
        let env = app.env();
        let rows: Vec<String> = (0..1_200)
            .map(|number| format!("('{env}', '{number}', 'k', 'o', NULL, NULL, '{{}}', {number}, NULL)"))
            .collect();
        test.run(format!("INSERT INTO events VALUES {}", rows.join(", "))).await.unwrap();
        // Nine tables are asked for before the events.
        let asked = AtomicU32::new(0);
        let stop_after_one_batch = || asked.fetch_add(1, Ordering::Relaxed) >= 10;
        let done = upkeep::run(&app.ctx, &plan(), &stop_after_one_batch).await.unwrap().unwrap();
        assert_eq!(done.removed, 500);
        let before = test.db.write_counters().transactions;
        let done = upkeep::run(&app.ctx, &plan(), &|| false).await.unwrap().unwrap();
        assert_eq!(done.removed, 700);
        let transactions = test.db.write_counters().transactions - before;
        assert_eq!(transactions, 2 + 9 + 2, "lease, tables, two batches");
    }

    /// Part of DB-205: one node at a time, and another takes over from one that died.
    async fn one_node_at_a_time_tidies_up(test: TestDb) {
        let app = App::started(&test).await;
        let (other, clock) = context(&test, ROOT_KEY, 2);
        let of_other = UpkeepPlan { holder: "node_2".to_owned(), ..plan() };
        // Dies in the middle: the lease is not given back.
        let until = NOW.plus(HOUR / 12).as_micros();
        test.run(format!("INSERT INTO leases VALUES ('upkeep', 'node_1', 1, {until})")).await.unwrap();
        assert_eq!(upkeep::run(&other, &of_other, &|| false).await.unwrap(), None);
        clock.advance(HOUR / 12);
        assert!(upkeep::run(&other, &of_other, &|| false).await.unwrap().is_some());
        assert!(upkeep::run(&app.ctx, &plan(), &|| false).await.unwrap().is_none(), "its clock is behind");
        app.clock.advance(HOUR);
        assert!(upkeep::run(&app.ctx, &plan(), &|| false).await.unwrap().is_some());
    }
}
