use keystead_crypto::TokenHash;
use keystead_types::{Id, Timestamp};
use sqlx::{Arguments, postgres::PgArguments, sqlite::SqliteArguments};

/// One bound value. NULL carries its type because PostgreSQL wants to know it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value {
    Text(String),
    Int(i64),
    Bool(bool),
    Bytes(Vec<u8>),
    Null(Kind),
}

/// Column types: `TEXT`, `BIGINT`, `BOOLEAN`, `BLOB`/`BYTEA`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Text,
    Int,
    Bool,
    Bytes,
}

/// A Rust value that can be bound to a placeholder.
///
/// Ids bind as their text form, [`Timestamp`] as microseconds, JSON as text. Secrets have no
/// implementation: what is stored is sealed bytes or a hash.
pub trait ToValue {
    /// Type of the column, also of its NULL.
    const KIND: Kind;

    /// The value to bind.
    fn to_value(&self) -> Value;
}

/// The values of all placeholders in order: a tuple of up to 20 [`ToValue`]s, `()` or `Vec<Value>`.
pub trait Params {
    /// Converts.
    fn into_values(self) -> Vec<Value>;
}

macro_rules! to_value {
    ($($type:ty => $kind:ident, |$value:ident| $convert:expr;)*) => {$(
        impl ToValue for $type {
            const KIND: Kind = Kind::$kind;
            fn to_value(&self) -> Value {
                let $value = self;
                Value::$kind($convert)
            }
        }
    )*};
}

to_value! {
    String => Text, |value| value.clone();
    str => Text, |value| value.to_owned();
    i64 => Int, |value| *value;
    i32 => Int, |value| i64::from(*value);
    u32 => Int, |value| i64::from(*value);
    u16 => Int, |value| i64::from(*value);
    bool => Bool, |value| *value;
    Vec<u8> => Bytes, |value| value.clone();
    [u8] => Bytes, |value| value.to_vec();
    Timestamp => Int, |value| value.as_micros();
    serde_json::Value => Text, |value| value.to_string();
    TokenHash => Bytes, |value| value.as_bytes().to_vec();
}

impl<const N: usize> ToValue for [u8; N] {
    const KIND: Kind = Kind::Bytes;
    fn to_value(&self) -> Value {
        Value::Bytes(self.to_vec())
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    const KIND: Kind = T::KIND;
    fn to_value(&self) -> Value {
        (**self).to_value()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    const KIND: Kind = T::KIND;
    fn to_value(&self) -> Value {
        self.as_ref()
            .map_or(Value::Null(T::KIND), ToValue::to_value)
    }
}

macro_rules! id_to_value {
    ($($id:ident)*) => {$(
        impl ToValue for keystead_types::$id {
            const KIND: Kind = Kind::Text;
            fn to_value(&self) -> Value {
                Value::Text(text_of(*self))
            }
        }
    )*};
}
keystead_types::for_each_id!(id_to_value);

fn text_of(id: impl Id) -> String {
    id.to_string()
}

impl Params for Vec<Value> {
    fn into_values(self) -> Vec<Value> {
        self
    }
}

impl Params for () {
    fn into_values(self) -> Vec<Value> {
        Vec::new()
    }
}

macro_rules! tuple_params {
    ($($name:ident)+) => {
        #[expect(non_snake_case, reason = "one letter names both the type and its value")]
        impl<$($name: ToValue),+> Params for ($($name,)+) {
            fn into_values(self) -> Vec<Value> {
                let ($($name,)+) = self;
                vec![$($name.to_value()),+]
            }
        }
    };
}
tuple_params!(A);
tuple_params!(A B);
tuple_params!(A B C);
tuple_params!(A B C D);
tuple_params!(A B C D E);
tuple_params!(A B C D E F);
tuple_params!(A B C D E F G);
tuple_params!(A B C D E F G H);
tuple_params!(A B C D E F G H I);
tuple_params!(A B C D E F G H I J);
tuple_params!(A B C D E F G H I J K);
tuple_params!(A B C D E F G H I J K L);
tuple_params!(A B C D E F G H I J K L M);
tuple_params!(A B C D E F G H I J K L M N);
tuple_params!(A B C D E F G H I J K L M N O);
tuple_params!(A B C D E F G H I J K L M N O P);
tuple_params!(A B C D E F G H I J K L M N O P Q);
tuple_params!(A B C D E F G H I J K L M N O P Q R);
tuple_params!(A B C D E F G H I J K L M N O P Q R S);
tuple_params!(A B C D E F G H I J K L M N O P Q R S T);

macro_rules! arguments {
    ($function:ident, $arguments:ty) => {
        pub(crate) fn $function(values: Vec<Value>) -> Result<$arguments, sqlx::Error> {
            let mut arguments = <$arguments>::default();
            for value in values {
                match value {
                    Value::Text(text) => arguments.add(text),
                    Value::Int(number) => arguments.add(number),
                    Value::Bool(flag) => arguments.add(flag),
                    Value::Bytes(bytes) => arguments.add(bytes),
                    Value::Null(Kind::Text) => arguments.add(None::<String>),
                    Value::Null(Kind::Int) => arguments.add(None::<i64>),
                    Value::Null(Kind::Bool) => arguments.add(None::<bool>),
                    Value::Null(Kind::Bytes) => arguments.add(None::<Vec<u8>>),
                }
                .map_err(sqlx::Error::Encode)?;
            }
            Ok(arguments)
        }
    };
}
arguments!(sqlite_arguments, SqliteArguments);
arguments!(postgres_arguments, PgArguments);
