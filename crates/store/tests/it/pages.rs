//! Keyset paging.

use keystead_crypto::{CursorKey, CursorScope, RootKey};
use keystead_store::{
    Cursor, Direction, Execute, Fetch, FromRow, Row, SortKey, Sql, StoreError, Window, sql,
};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::{EnvironmentId, Id, JobId, Page, PageRequest, PageSize};
use proptest::prelude::*;

const NEXT: Sql = sql!(
    "test.next",
    "SELECT id, next_at FROM jobs WHERE env_id = $1 AND (next_at, id) < ($2, $3) ORDER BY next_at DESC, id DESC LIMIT $4"
);
const PREVIOUS: Sql = sql!(
    "test.previous",
    "SELECT id, next_at FROM jobs WHERE env_id = $1 AND (next_at, id) > ($2, $3) ORDER BY next_at, id LIMIT $4"
);
const ADD: Sql = sql!(
    "test.add",
    "INSERT INTO jobs (id, env_id, kind, payload, state, attempts, max_attempts, next_at, created_at)
     VALUES ($2, $1, 'k', '{}', 'queued', 0, 1, $3, 0)"
);

#[derive(Debug)]
struct Item(JobId, i64);

impl FromRow for Item {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self(row.get("id")?, row.get("next_at")?))
    }
}

async fn page(
    test: &TestDb,
    env: EnvironmentId,
    key: &CursorKey,
    size: u32,
    token: &str,
) -> Result<Page<u64>, StoreError> {
    let request = PageRequest {
        size: PageSize::clamp(size, 10, 100),
        token: token.to_owned(),
    };
    let window = Window::open(
        &request,
        key,
        CursorScope {
            list: "test",
            environment: env,
            filter: b"",
        },
    )?;
    let params = (
        env,
        window.key(i64::MAX),
        window.id::<JobId>(),
        window.limit(),
    );
    let items: Vec<Item> = test
        .db
        .read(env)
        .fetch_all_as(window.choose(NEXT, PREVIOUS), params)
        .await?;
    Ok(window
        .finish(items, 25, |item| (SortKey::Int(item.1), item.0.number()))
        .map(|item| item.0.number()))
}

on_both_engines! {
    async fn walking_forth_and_back_shows_every_row_once_also_when_sort_keys_are_equal(test: TestDb) {
        let key = CursorKey::new(&RootKey::parse(&"0123456789abcdef".repeat(4)).unwrap());
        let env = test.environment().await;
        let mut tx = test.db.begin(env).await.unwrap();
        for number in 0..25_u64 {
            let id = JobId::from_number(100_000_000_000_000_000 + number);
            tx.execute(ADD, (env, id, i64::try_from(number / 5).unwrap())).await.unwrap();
        }
        tx.commit().await.unwrap();

        let (mut seen, mut token) = (Vec::new(), String::new());
        let mut back = loop {
            let page = page(&test, env, &key, 7, &token).await.unwrap();
            assert_eq!(page.prev_page_token.is_empty(), seen.is_empty());
            assert!(page.next_page_token.len() <= 32);
            seen.extend(page.items);
            if page.next_page_token.is_empty() {
                break page.prev_page_token;
            }
            token = page.next_page_token;
        };
        let expected: Vec<u64> = (0..25).rev().map(|number| 100_000_000_000_000_000 + number).collect();
        assert_eq!(seen, expected);

        let mut again = seen.split_off(21);
        while !back.is_empty() {
            let page = page(&test, env, &key, 7, &back).await.unwrap();
            assert!(!page.next_page_token.is_empty());
            again.splice(0..0, page.items);
            back = page.prev_page_token;
        }
        assert_eq!(again, expected);
    }

    async fn a_token_of_another_environment_is_refused(test: TestDb) {
        let key = CursorKey::new(&RootKey::parse(&"0123456789abcdef".repeat(4)).unwrap());
        let (one, other) = (test.environment().await, test.environment().await);
        let scope = CursorScope { list: "test", environment: one, filter: b"" };
        let cursor = Cursor { direction: Direction::Next, key: SortKey::Int(1), id: 1 };
        let token = key.seal(&scope, &cursor.encode());
        assert!(page(&test, one, &key, 5, &token).await.is_ok());
        assert_eq!(page(&test, other, &key, 5, &token).await.unwrap_err(), StoreError::PageToken);
        let junk = key.seal(&scope, b"junk");
        assert_eq!(page(&test, one, &key, 5, &junk).await.unwrap_err(), StoreError::PageToken);
    }
}

proptest! {
    #[test]
    fn cursors_round_trip(back: bool, number in 0..i64::MAX, id in 0..i64::MAX.cast_unsigned(), text in proptest::option::of(".{0,40}")) {
        let key = text.map_or(SortKey::Int(number), SortKey::Text);
        let direction = if back { Direction::Previous } else { Direction::Next };
        let cursor = Cursor { direction, key, id };
        prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
    }

    #[test]
    fn junk_is_no_cursor_or_a_valid_one(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Some(cursor) = Cursor::decode(&bytes) {
            prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }
    }
}
