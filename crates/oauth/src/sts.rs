//! Temporary AWS credentials for a web identity (STS `AssumeRoleWithWebIdentity`).

use crate::encode::pairs;
use keystead_types::Secret;

/// How long the credentials are asked for, in seconds: what every role allows.
pub const STS_LIFETIME_SECONDS: u32 = 3600;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct AssumeRole<'a> {
    /// `arn:aws:iam::…:role/…`.
    pub role_arn: &'a str,
    /// Appears in the logs of AWS; [`session_name`].
    pub session_name: &'a str,
    /// The identity token.
    pub token: &'a Secret<String>,
}

/// Temporary credentials.
#[derive(Debug)]
pub struct AwsCredentials {
    /// Access key id. Not a secret.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: Secret<String>,
    /// Session token.
    pub session_token: Secret<String>,
}

/// STS gave no credentials.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StsError {
    /// It refused; asking again cannot help.
    #[error("AWS refused the role: {0}")]
    Refused(String),
    /// It could not answer now.
    #[error("AWS could not answer: {0}")]
    Unavailable(String),
    /// The answer cannot be read.
    #[error("AWS answered with something that is no set of credentials")]
    Unreadable,
}

impl AssumeRole<'_> {
    /// The form to send.
    pub fn body(&self) -> Secret<String> {
        let lifetime = STS_LIFETIME_SECONDS.to_string();
        Secret::new(pairs([
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", self.role_arn),
            ("RoleSessionName", self.session_name),
            ("DurationSeconds", lifetime.as_str()),
            ("WebIdentityToken", self.token.expose()),
        ]))
    }
}

/// A text as STS takes it for the name of a session: 2 to 64 characters of `[\w+=,.@-]`.
pub fn session_name(text: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let name: String = text
        .chars()
        .map(|c| if legal(c) { c } else { '-' })
        .take(64)
        .collect();
    format!("{name:-<2}")
}

/// Reads the XML answer of STS.
///
/// # Errors
/// [`StsError`].
pub fn parse_sts_answer(status: u16, body: &[u8]) -> Result<AwsCredentials, StsError> {
    let text = std::str::from_utf8(body).map_err(|_| StsError::Unreadable)?;
    if !(200..300).contains(&status) {
        let code: String = element(text, "Code")
            .unwrap_or_default()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(64)
            .collect();
        let told = format!("HTTP {status} {code}").trim_end().to_owned();
        // AWS could not fetch our keys, or is busy; both pass.
        let passing = status >= 500
            || status == 429
            || code == "IDPCommunicationError"
            || code == "Throttling";
        return Err(if passing {
            StsError::Unavailable(told)
        } else {
            StsError::Refused(told)
        });
    }
    let credentials = element(text, "Credentials").ok_or(StsError::Unreadable)?;
    let part = |name: &str| {
        let found = element(credentials, name).filter(|value| {
            !value.is_empty()
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b'&')
        });
        found.map(ToOwned::to_owned).ok_or(StsError::Unreadable)
    };
    Ok(AwsCredentials {
        access_key_id: part("AccessKeyId")?,
        secret_access_key: Secret::new(part("SecretAccessKey")?),
        session_token: Secret::new(part("SessionToken")?),
    })
}

/// The content of the first element of that name. STS writes them without attributes, and values of
/// these elements hold nothing that XML escapes.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (content, _) = rest.split_once(&format!("</{name}>"))?;
    Some(content.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_and_stay_secret() {
        let body = b"<R><SubjectFromWebIdentityToken>x</SubjectFromWebIdentityToken><Credentials>
            <SessionToken>s/t+=</SessionToken><SecretAccessKey>k3y</SecretAccessKey>
            <Expiration>2026-01-01T00:00:00Z</Expiration><AccessKeyId>ASIA1</AccessKeyId></Credentials></R>";
        let read = parse_sts_answer(200, body).unwrap();
        assert_eq!(read.access_key_id, "ASIA1");
        assert_eq!(read.secret_access_key.expose(), "k3y");
        assert_eq!(read.session_token.expose(), "s/t+=");
        assert!(!format!("{read:?}").contains("k3y"));
        for broken in [
            "",
            "<Credentials></Credentials>",
            "<Credentials><AccessKeyId>a b</AccessKeyId></Credentials>",
        ] {
            assert_eq!(
                parse_sts_answer(200, broken.as_bytes()).unwrap_err(),
                StsError::Unreadable
            );
        }
    }

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let of = |status, code: &str| {
            parse_sts_answer(status, format!("<E><Code>{code}</Code></E>").as_bytes()).unwrap_err()
        };
        assert_eq!(
            of(403, "AccessDenied"),
            StsError::Refused("HTTP 403 AccessDenied".to_owned())
        );
        assert!(matches!(
            of(400, "IDPCommunicationError"),
            StsError::Unavailable(_)
        ));
        assert!(matches!(of(503, ""), StsError::Unavailable(_)));
    }

    #[test]
    fn session_names_are_legal() {
        assert_eq!(session_name("ada lovelace@x.test"), "ada-lovelace@x.test");
        assert_eq!(session_name("a"), "a-");
        assert_eq!(session_name(&"x".repeat(100)).len(), 64);
    }
}
