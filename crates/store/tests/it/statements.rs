//! Every registered statement, on both engines.

use keystead_store::{Engine, Fetch, Query, Sql, StoreError, sql};
use keystead_testkit::{engines::TestDb, on_both_engines};
use std::collections::{HashMap, HashSet};

on_both_engines! {
    async fn every_registered_statement_can_be_prepared(test: TestDb) {
        let mut broken = Vec::new();
        for (sql, _) in keystead_store::statements() {
            if let Err(error) = test.db.prepare(sql).await {
                broken.push(format!("{error}"));
            }
        }
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }

    async fn a_statement_on_a_tenant_table_is_limited_to_the_environment(test: TestDb) {
        let tenant_tables = tenant_tables(&test).await;
        assert!(tenant_tables.contains("organizations") && !tenant_tables.contains("workspaces"));
        let engine = test.db.engine();
        let unlimited: Vec<String> = keystead_store::statements()
            .into_iter()
            .filter(|(sql, admin)| !admin && !is_limited(sql.text(engine), &tenant_tables))
            .map(|(sql, _)| sql.name().to_owned())
            .collect();
        assert!(unlimited.is_empty(), "lack env_id: {unlimited:?}");
    }

    async fn no_statement_gives_way_to_a_conflict_by_ending_the_outer_transaction(test: TestDb) {
        for (sql, _) in keystead_store::statements() {
            let text = sql.text(test.db.engine()).to_uppercase();
            for forbidden in ["OR ROLLBACK", "RAISE(", "COMMIT", "SAVEPOINT", "PRAGMA "] {
                assert!(!text.contains(forbidden), "{}: {forbidden}", sql.name());
            }
        }
    }
}

#[test]
fn names_of_statements_are_unique() {
    let mut seen = HashMap::new();
    for (sql, _) in keystead_store::statements() {
        let text = sql.text(Engine::Sqlite);
        assert!(
            seen.insert(sql.name(), text).is_none(),
            "{} is registered twice",
            sql.name()
        );
    }
    assert!(seen.len() > 50, "only {} statements", seen.len());
}

#[test]
fn the_lint_notices_statements_that_forget_the_environment() {
    let tables = HashSet::from(["organizations".to_owned()]);
    for bad in [
        "SELECT * FROM organizations WHERE id = $1",
        "SELECT env_id FROM organizations WHERE id = $1",
        "UPDATE organizations SET display_name = $1",
        "INSERT INTO organizations (id) VALUES ($1)",
        "DELETE FROM organizations",
    ] {
        assert!(!is_limited(bad, &tables), "{bad}");
    }
    for good in [
        "SELECT * FROM organizations WHERE env_id = $1",
        "INSERT INTO organizations (env_id, id) VALUES ($1, $2)",
        "SELECT * FROM workspaces WHERE id = $1",
    ] {
        assert!(is_limited(good, &tables), "{good}");
    }
}

/// Compares with a parameter, or fills the column.
fn is_limited(text: &str, tenant_tables: &HashSet<String>) -> bool {
    let words: Vec<&str> = text
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    if !words.iter().any(|word| tenant_tables.contains(*word)) {
        return true;
    }
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    plain.contains("env_id = $") || plain.starts_with("INSERT") && words.contains(&"env_id")
}

async fn tenant_tables(test: &TestDb) -> HashSet<String> {
    const SQLITE: Sql = sql!(
        "test.columns",
        "SELECT t.name AS name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND c.name = 'env_id'"
    );
    const POSTGRES: Sql = sql!(
        "test.columns",
        "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.columns
         WHERE table_schema = current_schema() AND column_name = 'env_id'"
    );
    let sql = if test.db.engine() == Engine::Sqlite {
        SQLITE
    } else {
        POSTGRES
    };
    let rows = test.db.read_admin().fetch_all(sql, ()).await.unwrap();
    rows.iter().map(|row| row.get("name").unwrap()).collect()
}

on_both_engines! {
    async fn a_reader_refuses_everything_but_select(test: TestDb) {
        const WRITE: Sql = sql!("test.write", "DELETE FROM leases");
        let env = test.environment().await;
        let refused = test.db.read(env).fetch_all(WRITE, ()).await;
        assert_eq!(refused.err(), Some(StoreError::ReadOnly { statement: "test.write" }));
        assert_eq!(test.db.read(env).env(), env);
    }

    async fn a_missing_value_is_not_taken_as_null(test: TestDb) {
        const TWO: Sql = sql!("test.two", "SELECT name FROM leases WHERE name = $1 AND holder = $2");
        let wrong = test.db.read_admin().fetch_all(TWO, ("a",)).await;
        assert_eq!(wrong.err(), Some(StoreError::Parameters { statement: "test.two", wanted: 2, given: 1 }));
    }
}
