use crate::StoreError;
use keystead_crypto::TokenHash;
use keystead_types::{Id, Timestamp};
use sqlx::{
    ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type, ValueRef as _, postgres::PgRow,
    sqlite::SqliteRow,
};
use std::error::Error as StdError;

type Cause = Box<dyn StdError + Send + Sync>;

/// One row of an answer. Columns are read by name.
pub struct Row(pub(crate) Inner);

pub(crate) enum Inner {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A type that a column can be read as. Columns that may be NULL are read as `Option<T>`.
pub trait FromValue: Sized {
    /// What the column holds on both engines.
    type Raw: Raw;

    /// Whether NULL is a value of the type.
    const NULLABLE: bool = false;

    /// Converts; the error says what was wrong without repeating the value.
    fn from_raw(raw: Self::Raw) -> Result<Self, Cause>;
}

/// A value made of one row.
pub trait FromRow: Sized {
    /// Reads the columns.
    fn from_row(row: &Row) -> Result<Self, StoreError>;
}

/// `String`, `i64`, `bool` and `Vec<u8>`, and `Option` of them.
pub trait Raw:
    for<'r> Decode<'r, Sqlite> + for<'r> Decode<'r, Postgres> + Type<Sqlite> + Type<Postgres>
{
}
impl<T> Raw for T where
    T: for<'r> Decode<'r, Sqlite> + for<'r> Decode<'r, Postgres> + Type<Sqlite> + Type<Postgres>
{
}

impl Row {
    /// Reads a column.
    ///
    /// # Errors
    /// [`StoreError::Column`] when it is absent, of another type, NULL or does not parse.
    pub fn get<T: FromValue>(&self, column: &'static str) -> Result<T, StoreError> {
        self.is_null(column)
            .and_then(|null| {
                // The driver of SQLite would read zero or "".
                if null && !T::NULLABLE {
                    return Err("it is NULL".into());
                }
                T::from_raw(self.read(column)?)
            })
            .map_err(|cause| StoreError::Column {
                column,
                cause: cause.to_string(),
            })
    }

    fn is_null(
        &self,
        column: impl ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    ) -> Result<bool, Cause> {
        match &self.0 {
            Inner::Sqlite(row) => Ok(row.try_get_raw(column)?.is_null()),
            Inner::Postgres(row) => Ok(row.try_get_raw(column)?.is_null()),
        }
    }

    fn read<R: Raw>(
        &self,
        column: impl ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    ) -> Result<R, Cause> {
        match &self.0 {
            Inner::Sqlite(row) => Ok(row.try_get(column)?),
            Inner::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    /// Reads a column of a table whose shape is known only at run time (backup).
    pub(crate) fn value(
        &self,
        index: usize,
        kind: crate::Kind,
    ) -> Result<crate::Value, StoreError> {
        use crate::{Kind, Value};
        let read = || -> Result<Value, Cause> {
            if self.is_null(index)? {
                return Ok(Value::Null(kind));
            }
            Ok(match kind {
                Kind::Text => Value::Text(self.read(index)?),
                Kind::Int => Value::Int(self.read(index)?),
                Kind::Bool => Value::Bool(self.read(index)?),
                Kind::Bytes => Value::Bytes(self.read(index)?),
            })
        };
        read().map_err(|cause| StoreError::Column {
            column: "?",
            cause: cause.to_string(),
        })
    }
}

macro_rules! raw_values {
    ($($type:ty),*) => {$(
        impl FromValue for $type {
            type Raw = Self;
            fn from_raw(raw: Self) -> Result<Self, Cause> {
                Ok(raw)
            }
        }
    )*};
}
raw_values!(String, i64, bool, Vec<u8>);

macro_rules! parsed_values {
    ($($type:ty, $raw:ty => |$value:ident| $convert:expr;)*) => {$(
        impl FromValue for $type {
            type Raw = $raw;
            fn from_raw($value: $raw) -> Result<Self, Cause> {
                $convert
            }
        }
    )*};
}
parsed_values! {
    i32, i64 => |value| Ok(Self::try_from(value)?);
    u16, i64 => |value| Ok(Self::try_from(value)?);
    u32, i64 => |value| Ok(Self::try_from(value)?);
    u64, i64 => |value| Ok(Self::try_from(value)?);
    Timestamp, i64 => |value| Ok(Self::from_micros(value));
    serde_json::Value, String => |value| Ok(serde_json::from_str(&value)?);
    TokenHash, Vec<u8> => |value| TokenHash::from_bytes(&value).ok_or_else(|| "not a token hash".into());
}

impl<const N: usize> FromValue for [u8; N] {
    type Raw = Vec<u8>;
    fn from_raw(raw: Vec<u8>) -> Result<Self, Cause> {
        Self::try_from(raw).map_err(|raw| format!("{} bytes instead of {N}", raw.len()).into())
    }
}

impl<T: FromValue> FromValue for Option<T>
where
    Option<T::Raw>: Raw,
{
    type Raw = Option<T::Raw>;
    const NULLABLE: bool = true;
    fn from_raw(raw: Option<T::Raw>) -> Result<Self, Cause> {
        raw.map(T::from_raw).transpose()
    }
}

macro_rules! id_from_value {
    ($($id:ident)*) => {$(
        impl FromValue for keystead_types::$id {
            type Raw = String;
            fn from_raw(raw: String) -> Result<Self, Cause> {
                parse_id(&raw)
            }
        }
    )*};
}
keystead_types::for_each_id!(id_from_value);

fn parse_id<I: Id>(text: &str) -> Result<I, Cause> {
    Ok(text.parse::<I>()?)
}
