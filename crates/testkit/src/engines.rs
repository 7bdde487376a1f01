//! Runs a test on SQLite and on PostgreSQL.
//!
//! ```
//! use keystead_testkit::{engines::TestDb, on_both_engines};
//!
//! on_both_engines! {
//!     /// The doc comment names the requirement.
//!     async fn a_new_database_is_up_to_date(test: TestDb) {
//!         let (applied, latest) = test.db.schema_version().await.unwrap();
//!         assert_eq!(applied, latest);
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! PostgreSQL is used when `KEYSTEAD_TEST_POSTGRES_URL` names a server; each test gets a schema of
//! its own there, which is dropped when the test passes. Without the variable the PostgreSQL half
//! is skipped, loudly.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a fixture that cannot be built fails the test"
)]

use keystead_store::{
    DatabaseConfig, Db, Engine, Execute, GroupLimits, Region, Sql, StoreError, Synchronous,
    environments::{self, AuthenticationMode, Environment, EnvironmentKind},
    workspaces::{self, Workspace},
};
use keystead_types::{EnvironmentId, Id, Secret, Timestamp, WorkspaceId};
use std::{
    collections::hash_map::RandomState,
    env,
    hash::{BuildHasher, Hasher},
    sync::atomic::{AtomicU64, Ordering},
};

/// Names the PostgreSQL server: a URL whose user may create schemas.
pub const POSTGRES_URL: &str = "KEYSTEAD_TEST_POSTGRES_URL";

static NEXT_ID: AtomicU64 = AtomicU64::new(200_000_000_000_000_000);

/// A new, migrated database for one test.
#[derive(Debug)]
pub struct TestDb {
    /// The database.
    pub db: Db,
    /// How to open it a second time, as another node would.
    pub config: DatabaseConfig,
    folder: tempfile::TempDir,
    schema: Option<String>,
}

impl TestDb {
    /// Makes one; `None` when PostgreSQL is asked for and there is no server.
    pub async fn on(engine: Engine) -> Option<Self> {
        let test = Self::empty(engine).await?;
        test.db.migrate().await.unwrap();
        Some(test)
    }

    /// Makes one without tables.
    pub async fn empty(engine: Engine) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (config, schema) = match engine {
            Engine::Sqlite => {
                let path = folder.path().join("keystead.db");
                (
                    DatabaseConfig::Sqlite {
                        path,
                        synchronous: Synchronous::Full,
                    },
                    None,
                )
            }
            Engine::Postgres => {
                let Ok(server) = env::var(POSTGRES_URL) else {
                    eprintln!("\n!! {POSTGRES_URL} is not set: NOT TESTED on PostgreSQL\n");
                    return None;
                };
                let schema = format!("ks_{:016x}", RandomState::new().build_hasher().finish());
                on_server(&server, format!("CREATE SCHEMA {schema}"))
                    .await
                    .unwrap();
                let separator = if server.contains('?') { '&' } else { '?' };
                let url = format!("{server}{separator}options=-csearch_path%3D{schema}");
                (
                    DatabaseConfig::Postgres {
                        url: Secret::new(url),
                        max_connections: 8,
                    },
                    Some(schema),
                )
            }
        };
        let db = Db::open(&config).await.unwrap();
        Some(Self {
            db,
            config,
            folder,
            schema,
        })
    }

    /// Opens the database a second time, as another node would (PostgreSQL) or with other limits.
    pub async fn open_again(&self, limits: GroupLimits) -> Db {
        Db::open_with(&self.config, limits).await.unwrap()
    }

    /// A folder for files of the test.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Adds an environment with a workspace of its own.
    pub async fn environment(&self) -> EnvironmentId {
        let (id, at) = (
            next_id::<EnvironmentId>(),
            Timestamp::from_secs(1_790_000_000),
        );
        let workspace = Workspace {
            id: next_id::<WorkspaceId>(),
            display_name: "Acme".to_owned(),
            region: Region::Us,
            context: "{}".to_owned(),
            created_at: at,
            updated_at: at,
        };
        let environment = Environment {
            id,
            workspace: workspace.id,
            display_name: "Test".to_owned(),
            domain: format!("{}.acme.test", id.number()),
            kind: EnvironmentKind::Development,
            region: Region::Us,
            authentication_mode: AuthenticationMode::Modular,
            created_at: at,
            updated_at: at,
        };
        let mut tx = self.db.begin_admin().await.unwrap();
        workspaces::insert(&mut tx, &workspace).await.unwrap();
        environments::insert(&mut tx, &environment).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Runs a statement that no entity has, such as an act of sabotage.
    pub async fn run(&self, statement: impl Into<String>) -> Result<u64, StoreError> {
        run(&self.db, statement.into()).await
    }
}

/// An id that no other test of the process has.
pub fn next_id<I: Id>() -> I {
    I::from_number(NEXT_ID.fetch_add(1, Ordering::Relaxed))
}

/// Runs one test on one engine in a runtime of its own.
pub fn run_on<F: Future<Output = ()>>(engine: Engine, test: impl FnOnce(TestDb) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let Some(fixture) = TestDb::on(engine).await else {
            return;
        };
        let schema = fixture.schema.clone();
        test(fixture).await;
        if let (Some(schema), Ok(server)) = (schema, env::var(POSTGRES_URL)) {
            drop_schema(&server, &schema).await;
        }
    });
}

/// Tidies up. A statement that the test cut off may still be ending on the server and win a
/// deadlock; a schema that stays behind goes with the throw-away server.
async fn drop_schema(server: &str, schema: &str) {
    for _ in 0..5 {
        match on_server(server, format!("DROP SCHEMA {schema} CASCADE")).await {
            Err(error) if error.is_transient() => {}
            done => {
                done.unwrap();
                return;
            }
        }
    }
    eprintln!("the schema {schema} could not be dropped");
}

async fn on_server(server: &str, statement: String) -> Result<u64, StoreError> {
    let config = DatabaseConfig::Postgres {
        url: Secret::new(server.to_owned()),
        max_connections: 2,
    };
    let db = Db::open(&config).await?;
    let done = run(&db, statement).await;
    db.close().await;
    done
}

async fn run(db: &Db, statement: String) -> Result<u64, StoreError> {
    // Statements are static text by design; a test may leak a few.
    let sql = Sql::new("test.statement", String::leak(statement));
    let mut tx = db.begin_admin().await?;
    let count = tx.execute(sql, ()).await?;
    tx.commit().await?;
    Ok(count)
}

/// Defines tests that run on both engines: `async fn name(test: TestDb) { … }`, with
/// [`TestDb`](engines::TestDb) in scope.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($test:ident: TestDb) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn body_of_test($test: TestDb) $body

            $(#[$meta])*
            #[test]
            fn sqlite() {
                $crate::engines::run_on($crate::engines::SQLITE, body_of_test);
            }

            $(#[$meta])*
            #[test]
            fn postgres() {
                $crate::engines::run_on($crate::engines::POSTGRES, body_of_test);
            }
        }
    )*};
}

#[doc(hidden)]
pub const SQLITE: Engine = Engine::Sqlite;
#[doc(hidden)]
pub const POSTGRES: Engine = Engine::Postgres;
