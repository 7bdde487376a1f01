use super::sqlite::{ACQUIRE_TIMEOUT, unavailable};
use crate::StoreError;
use sqlx::{
    ConnectOptions, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use std::{net::IpAddr, time::Duration};
use tokio::time::timeout;

/// How the connection to PostgreSQL is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PostgresTransport {
    /// A socket, or an address of this machine: nobody is in between.
    Local,
    /// Encrypted, and the server's certificate must fit its name.
    Verified,
    /// Encrypted, but anybody in between could be the server: the operator asked for it.
    Unverified,
    /// Perhaps in the clear: the operator asked for it.
    Open,
}

impl PostgresTransport {
    /// What holds for the URL.
    ///
    /// # Errors
    /// [`StoreError::Config`] when it is not a PostgreSQL URL.
    pub fn of(url: &str) -> Result<Self, StoreError> {
        let options = options(url)?;
        if is_local(&options) {
            return Ok(Self::Local);
        }
        Ok(match options.get_ssl_mode() {
            PgSslMode::VerifyFull => Self::Verified,
            // Only the issuer is checked: any server of a public authority would do.
            PgSslMode::Require | PgSslMode::VerifyCa => Self::Unverified,
            _ => Self::Open,
        })
    }
}

/// Reads a URL. SECURITY: a server on another machine must show a certificate for its name, or
/// somebody in between could read and change everything, unless the URL names another `sslmode`.
fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    // The text of the error is not repeated: it could hold the password.
    let options: PgConnectOptions = url
        .parse()
        .map_err(|_| StoreError::Config("the PostgreSQL URL is not valid".to_owned()))?;
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let is_chosen = query
        .split('&')
        .any(|pair| pair.starts_with("sslmode=") || pair.starts_with("ssl-mode="));
    if is_chosen || is_local(&options) {
        return Ok(options);
    }
    Ok(options.ssl_mode(PgSslMode::VerifyFull))
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_matches(['[', ']']);
    options.get_socket().is_some()
        || host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

pub(crate) async fn open(url: &str, max_connections: u32) -> Result<PgPool, StoreError> {
    let options = options(url)?
        .application_name("keystead")
        .statement_cache_capacity(512)
        // No transaction waits for the network, so one that idles this long was forgotten.
        .options([
            ("idle_in_transaction_session_timeout", "60s"),
            ("lock_timeout", "5s"),
            ("statement_timeout", "60s"),
        ])
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(max_connections.max(2))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(Duration::from_secs(600))
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await;
    match pool {
        Err(sqlx::Error::PoolTimedOut) => Err(cause(&options).await),
        opened => opened.map_err(|error| unavailable(&error)),
    }
}

/// Why there is no connection: the pool tries again until its time is over, and says only that it is.
async fn cause(options: &PgConnectOptions) -> StoreError {
    let place = match options.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let why = match timeout(ACQUIRE_TIMEOUT, options.connect()).await {
        Ok(Ok(_)) => return unavailable(&sqlx::Error::PoolTimedOut),
        Ok(Err(sqlx::Error::Io(error))) => error.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    StoreError::Unavailable {
        statement: "open",
        message: format!("could not connect to {place}: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DB-201, DB-205
    #[test]
    fn a_server_on_another_machine_must_prove_its_name() {
        use PostgresTransport::{Local, Open, Unverified, Verified};
        for (url, expected) in [
            ("postgres://u:p@db.example.com/d", Verified),
            ("postgresql://u:p@10.0.0.7:5433/d", Verified),
            (
                "postgres://u:p@db.example.com/d?sslrootcert=/etc/ca.pem",
                Verified,
            ),
            ("postgres://u:p@localhost.example.com/d", Verified),
            (
                "postgres://u:p@db.example.com/d?sslmode=verify-full",
                Verified,
            ),
            (
                "postgres://u:p@db.example.com/d?sslmode=verify-ca",
                Unverified,
            ),
            (
                "postgres://u:p@db.example.com/d?sslmode=require",
                Unverified,
            ),
            (
                "postgres://u:p@db.example.com/d?application_name=x&sslmode=disable",
                Open,
            ),
            ("postgres://u:p@db.example.com/d?ssl-mode=prefer", Open),
            ("postgres://u:p@127.0.0.1:5432/d", Local),
            ("postgres://u:p@[::1]/d", Local),
            ("postgres://u:p@LOCALHOST/d", Local),
            ("postgres://u:p@%2Fvar%2Frun%2Fpostgresql/d", Local),
            ("postgres:///d?host=/var/run/postgresql", Local),
            ("postgres://u:p@localhost/d?host=db.example.com", Verified),
            // A password may hold what looks like a setting.
            ("postgres://u:sslmode=disable@db.example.com/d", Verified),
        ] {
            assert_eq!(PostgresTransport::of(url).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn an_error_does_not_repeat_the_password() {
        let error = PostgresTransport::of("postgres://u:hunter2@h/d?sslmode=nonsense").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}
