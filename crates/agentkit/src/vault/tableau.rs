//! Signing in to Tableau: a personal access token is exchanged for a session and the site's id
//! (AK-013).

use super::{
    mint::{MintError, MintInput, Minted},
    refused_status,
};
use crate::{AgentKit, proxy::resolve_target};
use bytes::Bytes;
use http::{Request, header};
use keystead_net::Limits;
use keystead_types::{Internal, Secret};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Newest version of the API that we speak; older servers are asked for theirs.
const NEWEST: (u32, u32) = (3, 28);
/// Any server answers which versions it speaks under this one.
const SERVER_INFO: &str = "/api/2.4/serverinfo";
/// Time for one question.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Answer of the sign-in.
#[derive(Deserialize)]
struct SignedIn {
    credentials: Session,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    token: String,
    site: Site,
    /// Hours, minutes and seconds.
    estimated_time_to_expiration: Option<String>,
}

#[derive(Deserialize)]
struct Site {
    id: String,
}

impl AgentKit {
    /// Signs in. One token has one session: a second sign-in would end the first, so this runs under
    /// the account's lease like every refresh.
    pub(super) async fn tableau_session(&self, input: &MintInput<'_>) -> Result<Minted, MintError> {
        let version = match input.values.get("version") {
            Some(set) => set.clone(),
            None => self.tableau_version(input).await?,
        };
        let detail = |name: &str| input.credential.detail(name);
        let body = json!({"credentials": {
            "personalAccessTokenName": detail("pat_name"),
            "personalAccessTokenSecret": detail("pat_secret"),
            "site": {"contentUrl": detail("site_content_url")},
        }});
        let body = body.to_string();
        let request = Request::post(tableau_url(input, &format!("/api/{version}/auth/signin"))?)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(Bytes::from(body))
            .map_err(Internal::new)?;
        let now = self.ctx().clock.now();
        let SignedIn { credentials } = self.ask_tableau(input, request, "sign-in").await?;
        let lifetime = credentials
            .estimated_time_to_expiration
            .as_deref()
            .and_then(lifetime);
        let values = [("site_id", credentials.site.id), ("version", version)];
        let values = values.map(|(name, value)| (name.to_owned(), Value::String(value)));
        Ok(Minted {
            access_token: Secret::new(credentials.token),
            expires_at: lifetime.map(|lifetime| now.plus(lifetime)),
            scopes: None,
            aws_key: None,
            account_values: Map::from_iter(values),
        })
    }

    /// The newest version that both sides speak.
    async fn tableau_version(&self, input: &MintInput<'_>) -> Result<String, MintError> {
        let request = Request::get(tableau_url(input, SERVER_INFO)?)
            .header(header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(Internal::new)?;
        let info: Value = self.ask_tableau(input, request, "server info").await?;
        let spoken = info
            .pointer("/serverInfo/restApiVersion")
            .and_then(Value::as_str)
            .and_then(|version| {
                let (major, minor) = version.split_once('.')?;
                Some((major.parse().ok()?, minor.parse().ok()?))
            });
        let (major, minor) = spoken.map_or(NEWEST, |spoken: (u32, u32)| spoken.min(NEWEST));
        Ok(format!("{major}.{minor}"))
    }

    async fn ask_tableau<T: serde::de::DeserializeOwned>(
        &self,
        input: &MintInput<'_>,
        request: Request<Bytes>,
        what: &'static str,
    ) -> Result<T, MintError> {
        let limits = Limits {
            timeout: TIMEOUT,
            ..Limits::DOCUMENT
        };
        let response = self
            .http_of(&input.connection.provider_key)
            .fetch_within(request, limits)
            .await?;
        let status = response.status();
        if !status.is_success() {
            let status = status.as_u16();
            return Err(if refused_status(status) {
                MintError::Refused { what, status }
            } else {
                MintError::Unavailable { what, status }
            });
        }
        serde_json::from_slice(response.body()).map_err(|_| MintError::Unreadable(what))
    }
}

/// An address of the account's server.
fn tableau_url(input: &MintInput<'_>, path: &str) -> Result<String, MintError> {
    // SECURITY: the token's secret goes there; the version in the path may be the user's server's.
    let allowed = &input.pattern.allowed_proxy_domains;
    let url = resolve_target(input.base_url, input.values, allowed, path)
        .map_err(|error| MintError::Target(error.to_string()))?;
    Ok(url.into())
}

/// `hours:minutes:seconds`.
fn lifetime(text: &str) -> Option<Duration> {
    let parts: Vec<u64> = text
        .split(':')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts[..] else {
        return None;
    };
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    let seconds = minutes.checked_mul(60)?.checked_add(seconds)?;
    // A day is more than any session lives unused.
    Some(Duration::from_secs(seconds.clamp(60, 24 * 3600)))
}

#[cfg(test)]
mod tests {
    use super::lifetime;
    use std::time::Duration;

    /// Part of AK-013
    #[test]
    fn lifetimes_are_read_and_bounded() {
        for (text, seconds) in [
            ("3:59:58", Some(14_398)),
            ("0:00:01", Some(60)),
            ("199:24:16", Some(86_400)),
            ("99999999999999999999:0:0", None),
            ("18446744073709551615:0:0", None),
            ("4:00", None),
            ("", None),
        ] {
            assert_eq!(lifetime(text), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
