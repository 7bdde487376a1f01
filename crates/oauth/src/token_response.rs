use crate::{
    document::{Answer, BodyProblem, Document, wrong_type},
    failure::{TokenFailure, refusal},
};
use keystead_types::Secret;
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// Where a provider puts the parts of its token response, as dotted paths
/// (`authed_user.access_token`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenPaths {
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
    /// Lifetime in seconds.
    pub expires_in: String,
    /// Granted scopes.
    pub scope: String,
    /// Further texts to keep, such as `instance_url`. Never name a token here.
    pub other: Vec<String>,
}

impl Default for TokenPaths {
    fn default() -> Self {
        Self {
            access_token: "access_token".into(),
            refresh_token: "refresh_token".into(),
            expires_in: "expires_in".into(),
            scope: "scope".into(),
            other: Vec::new(),
        }
    }
}

/// What a token endpoint issued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenResponse {
    /// The access token: visible ASCII, so it can be sent in a header.
    pub access_token: Secret<String>,
    /// The refresh token. `None` in a refresh response means: keep the old one (AK-221).
    pub refresh_token: Option<Secret<String>>,
    /// The ID token, unverified.
    pub id_token: Option<Secret<String>>,
    /// `Bearer`, mostly.
    pub token_type: Option<String>,
    /// Lifetime of the access token. `None`: not told, or unlimited (which some say with 0).
    pub expires_in: Option<Duration>,
    /// Granted scopes. `None`: not told, so those asked for (RFC 6749, section 5.1).
    pub scopes: Option<Vec<String>>,
    /// The texts asked for in [`TokenPaths::other`] that were there.
    pub other: BTreeMap<String, String>,
}

/// Reads the answer of a token endpoint: JSON or form, whatever the content type says.
///
/// # Errors
/// [`TokenFailure`], which also says whether asking again can help.
pub fn parse_token_response(
    answer: &Answer<'_>,
    paths: &TokenPaths,
) -> Result<TokenResponse, TokenFailure> {
    let document = success(answer)?;
    Ok(tokens(&document, paths, Parts::MustFit)?)
}

/// Reads the answer to a refresh. Slack nests the user's tokens in the first answer only, so the
/// top level is read when the configured place is empty. Parts other than the tokens that cannot be
/// read count as not told: the new refresh token beside them exists nowhere else.
///
/// # Errors
/// [`TokenFailure`].
pub fn parse_refresh_response(
    answer: &Answer<'_>,
    paths: &TokenPaths,
) -> Result<TokenResponse, TokenFailure> {
    let document = success(answer)?;
    if document.get(&paths.access_token).is_some() {
        return Ok(tokens(&document, paths, Parts::MayBeOdd)?);
    }
    let top = TokenPaths {
        other: paths.other.clone(),
        ..TokenPaths::default()
    };
    Ok(tokens(&document, &top, Parts::MayBeOdd)?)
}

/// What is made of parts, other than the tokens, that have the wrong type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    MustFit,
    MayBeOdd,
}

impl Parts {
    fn read<T>(self, part: Result<Option<T>, BodyProblem>) -> Result<Option<T>, BodyProblem> {
        match self {
            Self::MustFit => part,
            Self::MayBeOdd => Ok(part.ok().flatten()),
        }
    }
}

fn success(answer: &Answer<'_>) -> Result<Document, TokenFailure> {
    let document = Document::parse(answer);
    if !answer.is_success() {
        let refused = document
            .ok()
            .and_then(|document| refusal(answer, &document));
        return Err(refused.unwrap_or(TokenFailure::Status {
            status: answer.status,
        }));
    }
    let document = document?;
    refusal(answer, &document).map_or(Ok(document), Err)
}

fn tokens(
    document: &Document,
    paths: &TokenPaths,
    parts: Parts,
) -> Result<TokenResponse, BodyProblem> {
    let access_token = token(document, &paths.access_token)?;
    let mut other = BTreeMap::new();
    for path in &paths.other {
        if let Some(text) = parts.read(document.text(path))? {
            other.insert(path.clone(), text.to_owned());
        }
    }
    Ok(TokenResponse {
        access_token: access_token
            .ok_or_else(|| BodyProblem::Missing(paths.access_token.clone()))?,
        refresh_token: token(document, &paths.refresh_token)?,
        id_token: parts.read(token(document, "id_token"))?,
        token_type: parts
            .read(document.text("token_type"))?
            .map(ToOwned::to_owned),
        expires_in: parts.read(lifetime(document, &paths.expires_in))?,
        scopes: parts.read(scopes(document, &paths.scope))?,
        other,
    })
}

/// SECURITY: a line break in a token would let a provider add headers to our requests.
fn token(document: &Document, path: &str) -> Result<Option<Secret<String>>, BodyProblem> {
    match document.text(path)? {
        Some(text) if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(BodyProblem::NotAToken(path.to_owned()))
        }
        text => Ok(text.map(|text| Secret::new(text.to_owned()))),
    }
}

fn lifetime(document: &Document, path: &str) -> Result<Option<Duration>, BodyProblem> {
    const EXPECTED: &str = "a non-negative number of seconds";
    let Some(value) = document.get(path) else {
        return Ok(None);
    };
    let seconds = match value {
        Value::Number(number) => number.as_u64().or_else(|| whole_seconds(number.as_f64()?)),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let seconds = seconds.ok_or_else(|| wrong_type(path, EXPECTED, value))?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds).min(LONGEST)))
}

/// What is longer is as good as for ever, and would lead past the end of the calendar.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

fn whole_seconds(seconds: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded"
    )]
    (0.0..1e15).contains(&seconds).then_some(seconds as u64)
}

/// Text, separated by spaces or commas, or a list.
fn scopes(document: &Document, path: &str) -> Result<Option<Vec<String>>, BodyProblem> {
    const EXPECTED: &str = "text or a list of texts";
    let scopes: Vec<String> = match document.get(path) {
        None => return Ok(None),
        Some(Value::String(text)) => text
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|scope| !scope.is_empty())
            .map(ToOwned::to_owned)
            .collect(),
        Some(Value::Array(list)) => {
            let text = |scope: &Value| {
                scope
                    .as_str()
                    .map(ToOwned::to_owned)
                    .ok_or_else(|| wrong_type(path, EXPECTED, scope))
            };
            list.iter().map(text).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(wrong_type(path, EXPECTED, other)),
    };
    Ok((!scopes.is_empty()).then_some(scopes))
}

#[cfg(test)]
mod tests;
