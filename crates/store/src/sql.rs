use crate::Engine;

/// One registered statement. Made by [`sql!`](crate::sql), listed in the `STATEMENTS` of its module.
///
/// Placeholders are `$1`, `$2`, … on both engines. It may run in any transaction; when it names a
/// tenant table it must also name `env_id` (a test checks that).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sql {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// A statement that may look across environments: only an [`admin`](crate::admin) transaction or
/// reader accepts it. Made by [`admin_sql!`](crate::admin_sql).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdminSql(pub(crate) Sql);

impl Sql {
    #[doc(hidden)]
    pub const fn new(name: &'static str, text: &'static str) -> Self {
        Self {
            name,
            sqlite: text,
            postgres: text,
        }
    }

    /// A statement that differs between the engines; only `dialect.rs` has a reason to make one.
    pub(crate) const fn per_engine(
        name: &'static str,
        sqlite: &'static str,
        postgres: &'static str,
    ) -> Self {
        Self {
            name,
            sqlite,
            postgres,
        }
    }

    /// `entity.use_case`: what errors, logs and metrics call the statement.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The text for an engine.
    pub const fn text(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }

    /// Highest placeholder number.
    pub(crate) fn parameters(&self, engine: Engine) -> usize {
        let mut highest = 0;
        for part in self.text(engine).split('$').skip(1) {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            let number = part.get(..digits).and_then(|digits| digits.parse().ok());
            highest = highest.max(number.unwrap_or(0));
        }
        highest
    }

    /// True for a statement that only reads.
    pub(crate) fn is_select(&self, engine: Engine) -> bool {
        let start = self.text(engine).trim_start().get(..7).unwrap_or_default();
        start.trim_end().eq_ignore_ascii_case("select")
    }
}

impl AdminSql {
    #[doc(hidden)]
    pub const fn new(name: &'static str, text: &'static str) -> Self {
        Self(Sql::new(name, text))
    }

    /// The statement, for the tests that look at all of them.
    pub const fn sql(&self) -> Sql {
        self.0
    }
}

impl From<Sql> for AdminSql {
    fn from(sql: Sql) -> Self {
        Self(sql)
    }
}

/// Makes a [`Sql`](crate::Sql): `const INSERT: Sql = sql!("organizations.insert", "INSERT …");`
#[macro_export]
macro_rules! sql {
    ($name:literal, $text:literal) => {
        $crate::Sql::new($name, $text)
    };
}

/// Makes an [`AdminSql`](crate::AdminSql).
#[macro_export]
macro_rules! admin_sql {
    ($name:literal, $text:literal) => {
        $crate::AdminSql::new($name, $text)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_counted_and_selects_are_known() {
        let update = sql!("t.update", "UPDATE t SET a = $2, b = $12 WHERE id = $1");
        assert_eq!(update.parameters(Engine::Sqlite), 12);
        assert!(!update.is_select(Engine::Sqlite));
        assert!(sql!("t.get", "\n  select\n a FROM t").is_select(Engine::Postgres));
        assert!(!sql!("t.sneak", "WITH x AS (DELETE FROM t) SELECT 1").is_select(Engine::Postgres));
        assert!(!sql!("t.short", "x").is_select(Engine::Postgres));
    }
}
