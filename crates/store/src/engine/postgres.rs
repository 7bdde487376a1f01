use super::sqlite::{ACQUIRE_TIMEOUT, unavailable};
use crate::StoreError;
use sqlx::{
    ConnectOptions, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::time::Duration;

pub(crate) async fn open(url: &str, max_connections: u32) -> Result<PgPool, StoreError> {
    // The text of the error is not repeated: it could hold the password.
    let options: PgConnectOptions = url
        .parse()
        .map_err(|_| StoreError::Config("the PostgreSQL URL is not valid".to_owned()))?;
    let options = options
        .application_name("keystead")
        .statement_cache_capacity(512)
        // No transaction waits for the network, so one that idles this long was forgotten.
        .options([
            ("idle_in_transaction_session_timeout", "60s"),
            ("lock_timeout", "5s"),
            ("statement_timeout", "60s"),
        ])
        .disable_statement_logging();
    PgPoolOptions::new()
        .max_connections(max_connections.max(2))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(Duration::from_secs(600))
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .map_err(|error| unavailable(&error))
}
