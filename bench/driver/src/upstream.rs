//! An OAuth provider with an API, for refresh stampedes.
//!
//! | Request | Answer |
//! |---|---|
//! | `POST /token` | after the delay a new access and refresh token; the old refresh token is spent, a spent one revokes the grant |
//! | `GET /api/…` | 200 with the current access token, 401 with any other |
//! | `GET /count` | what was asked since the last reset |
//! | `POST /reset` | back to the first tokens, `first-access` and `first-refresh`; `?access=expired` lets the API refuse the first access token, `?refuse=true` lets every refresh fail, `?delay_ms=N` changes the delay |

use crate::runtime;
use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::net::TcpListener;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Port on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// Delay of the token endpoint in milliseconds.
    #[arg(long, default_value_t = 200)]
    delay_ms: u64,
}

#[derive(Default)]
struct Grant {
    serial: u64,
    first_access_works: bool,
    refuse: bool,
    revoked: bool,
    delay_ms: u64,
    token_requests: u64,
    reused: u64,
    api_calls: u64,
    api_refused: u64,
}

struct Upstream {
    grant: Mutex<Grant>,
    delay_ms: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    runtime(1)?.block_on(serve(arguments))
}

async fn serve(arguments: &Arguments) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", arguments.port)).await?;
    let upstream = Arc::new(Upstream {
        grant: Mutex::new(Grant {
            first_access_works: true,
            delay_ms: arguments.delay_ms,
            ..Grant::default()
        }),
        delay_ms: arguments.delay_ms,
    });
    println!("ready http://127.0.0.1:{}", arguments.port);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let upstream = Arc::clone(&upstream);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let upstream = Arc::clone(&upstream);
                async move { Ok::<_, Infallible>(upstream.answer(request).await) }
            });
            // A client that goes away in the middle is its own business.
            drop(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

impl Upstream {
    fn grant(&self) -> MutexGuard<'_, Grant> {
        self.grant.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return reply(400, &json!({"error": "unreadable"}));
        };
        match parts.uri.path() {
            "/token" => self.token(&body.to_bytes()).await,
            "/count" => reply(200, &self.grant().counted()),
            "/reset" => {
                let query = parts.uri.query().unwrap_or_default();
                let grant = Grant {
                    first_access_works: !query.contains("access=expired"),
                    refuse: query.contains("refuse=true"),
                    delay_ms: value(query, "delay_ms").unwrap_or(self.delay_ms),
                    ..Grant::default()
                };
                *self.grant() = grant;
                reply(200, &json!({}))
            }
            path if path.starts_with("/api/") => {
                let bearer = parts
                    .headers
                    .get(header::AUTHORIZATION)
                    .and_then(|value| value.to_str().ok());
                self.call(bearer.unwrap_or_default())
            }
            _ => reply(404, &json!({"error": "not_found"})),
        }
    }

    async fn token(&self, form: &[u8]) -> Response<Full<Bytes>> {
        let delay = {
            let mut grant = self.grant();
            grant.token_requests += 1;
            Duration::from_millis(grant.delay_ms)
        };
        tokio::time::sleep(delay).await;
        let mut grant = self.grant();
        let sent = String::from_utf8_lossy(form);
        let sent = sent
            .split('&')
            .find_map(|pair| pair.strip_prefix("refresh_token="))
            .unwrap_or_default();
        if sent != grant.refresh_token() {
            grant.reused += 1;
            grant.revoked = true;
        }
        if grant.refuse || grant.revoked {
            return reply(400, &json!({"error": "invalid_grant"}));
        }
        grant.serial += 1;
        let answer = json!({
            "access_token": grant.access_token(),
            "refresh_token": grant.refresh_token(),
            "token_type": "Bearer",
            "expires_in": 3600,
        });
        reply(200, &answer)
    }

    fn call(&self, bearer: &str) -> Response<Full<Bytes>> {
        let mut grant = self.grant();
        grant.api_calls += 1;
        let live = grant.serial > 0 || grant.first_access_works;
        if live && !grant.revoked && bearer.strip_prefix("Bearer ") == Some(&grant.access_token()) {
            return reply(200, &json!({"ok": true}));
        }
        grant.api_refused += 1;
        reply(401, &json!({"error": "invalid_token"}))
    }
}

impl Grant {
    fn access_token(&self) -> String {
        if self.serial == 0 {
            "first-access".to_owned()
        } else {
            format!("access-{}", self.serial)
        }
    }

    fn refresh_token(&self) -> String {
        if self.serial == 0 {
            "first-refresh".to_owned()
        } else {
            format!("refresh-{}", self.serial)
        }
    }

    fn counted(&self) -> Value {
        json!({
            "token_requests": self.token_requests,
            "refreshes": self.serial,
            "reused": self.reused,
            "api_calls": self.api_calls,
            "api_refused": self.api_refused,
        })
    }
}

/// A number of a query.
fn value(query: &str, name: &str) -> Option<u64> {
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(name));
    pair?.strip_prefix('=')?.parse().ok()
}

fn reply(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}
