//! Keyset paging: a page starts after a row, never after a number of rows.

use crate::{Sql, StoreError};
use keystead_crypto::{CursorKey, CursorScope};
use keystead_types::{Id, Page, PageRequest};

/// Place in a list: the sort key and the id of a row, and the direction to go on in.
///
/// A time and an id take 16 bytes, so that the page token has 32 characters (AK-209).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// Where the page lies.
    pub direction: Direction,
    /// Value of the sort column of the row.
    pub key: SortKey,
    /// Number of the row's id.
    pub id: u64,
}

/// Side of the row on which the page lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Direction {
    Next,
    Previous,
}

/// Value of a sort column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SortKey {
    /// `BIGINT`: mostly microseconds. Not negative.
    Int(i64),
    /// `TEXT`.
    Text(String),
}

const TOP: u64 = 1 << 63;

impl Cursor {
    /// Eight bytes: direction (top bit) and number; eight bytes: kind of key (top bit) and id; text.
    pub fn encode(&self) -> Vec<u8> {
        let (number, text) = match &self.key {
            SortKey::Int(number) => (u64::try_from(*number).unwrap_or(0), None),
            SortKey::Text(text) => (0, Some(text)),
        };
        let direction = if self.direction == Direction::Previous {
            TOP
        } else {
            0
        };
        let kind = if text.is_some() { TOP } else { 0 };
        let mut bytes = (number | direction).to_be_bytes().to_vec();
        bytes.extend((self.id & !TOP | kind).to_be_bytes());
        bytes.extend(text.map_or("", String::as_str).as_bytes());
        bytes
    }

    /// Reads what [`Cursor::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk()?;
        let (id, text) = rest.split_first_chunk()?;
        let (number, id) = (u64::from_be_bytes(*number), u64::from_be_bytes(*id));
        let key = if id & TOP == 0 {
            text.is_empty()
                .then(|| SortKey::Int(i64::try_from(number & !TOP).unwrap_or(i64::MAX)))?
        } else {
            SortKey::Text(String::from_utf8(text.to_vec()).ok()?)
        };
        let direction = if number & TOP == 0 {
            Direction::Next
        } else {
            Direction::Previous
        };
        Some(Self {
            direction,
            key,
            id: id & !TOP,
        })
    }
}

/// The page that is asked for: gives the parameters of the statement and makes the answer.
///
/// A list has two statements. `NEXT` is `… AND (sort, id) < ($2, $3) ORDER BY sort DESC, id DESC
/// LIMIT $4`; `PREVIOUS` is the same with `>` and ascending. (For an ascending list swap them.)
#[derive(Debug)]
pub struct Window<'a> {
    tokens: &'a CursorKey,
    scope: CursorScope<'a>,
    size: usize,
    cursor: Option<Cursor>,
}

impl<'a> Window<'a> {
    /// Reads the page token.
    ///
    /// # Errors
    /// [`StoreError::PageToken`] when this list did not give it out.
    pub fn open(
        request: &PageRequest,
        tokens: &'a CursorKey,
        scope: CursorScope<'a>,
    ) -> Result<Self, StoreError> {
        let cursor = if request.token.is_empty() {
            None
        } else {
            let position = tokens
                .open(&scope, &request.token)
                .map_err(|_| StoreError::PageToken)?;
            Some(Cursor::decode(&position).ok_or(StoreError::PageToken)?)
        };
        let size = usize::try_from(request.size.get()).unwrap_or(1).max(1);
        Ok(Self {
            tokens,
            scope,
            size,
            cursor,
        })
    }

    /// The statement for the direction.
    pub fn choose(&self, next: Sql, previous: Sql) -> Sql {
        if self.backwards() { previous } else { next }
    }

    /// The sort value to start from in a list by time; the first page starts at `first`:
    /// `i64::MAX` for a descending list, `-1` for an ascending one.
    pub fn key(&self, first: i64) -> i64 {
        match &self.cursor {
            Some(Cursor {
                key: SortKey::Int(number),
                ..
            }) => *number,
            _ => first,
        }
    }

    /// The sort value to start from in an ascending list by text; the first page starts at "".
    pub fn text_key(&self) -> &str {
        match &self.cursor {
            Some(Cursor {
                key: SortKey::Text(text),
                ..
            }) => text,
            _ => "",
        }
    }

    /// The id to start from, as text. The first page starts at "", which is before all ids.
    pub fn id<I: Id>(&self) -> String {
        self.cursor
            .as_ref()
            .map_or_else(String::new, |cursor| I::from_number(cursor.id).to_string())
    }

    /// Rows to ask for: one more than the page holds, which tells whether there is another page.
    pub fn limit(&self) -> i64 {
        i64::try_from(self.size)
            .unwrap_or(i64::MAX)
            .saturating_add(1)
    }

    /// Makes the page of the rows the statement gave, in the order it gave them.
    pub fn finish<T>(
        &self,
        mut items: Vec<T>,
        total_size: u64,
        position: impl Fn(&T) -> (SortKey, u64),
    ) -> Page<T> {
        let more = items.len() > self.size;
        items.truncate(self.size);
        if self.backwards() {
            items.reverse();
        }
        // Where one came from there are rows, at least the one the token names.
        let (has_previous, has_next) = if self.backwards() {
            (more, true)
        } else {
            (self.cursor.is_some(), more)
        };
        let token = |item: Option<&T>, direction, exists| match item {
            Some(item) if exists => {
                let (key, id) = position(item);
                self.tokens
                    .seal(&self.scope, &Cursor { direction, key, id }.encode())
            }
            _ => String::new(),
        };
        Page {
            next_page_token: token(items.last(), Direction::Next, has_next),
            prev_page_token: token(items.first(), Direction::Previous, has_previous),
            items,
            total_size,
        }
    }

    fn backwards(&self) -> bool {
        self.cursor
            .as_ref()
            .is_some_and(|cursor| cursor.direction == Direction::Previous)
    }
}
