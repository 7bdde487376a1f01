use super::signature::{Consumer, SignatureError, SignedRequest, Stamp, TokenPair, header};
use crate::{
    Answer, AuthorizeError, BodyProblem, TokenFailure, authorize::with_query, document::Document,
    failure::refusal,
};
use keystead_types::Secret;
use url::Url;

/// A step of the flow failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FlowError {
    /// The provider gave no token.
    #[error(transparent)]
    Failure(#[from] TokenFailure),
    /// The provider did not confirm the callback.
    #[error("the provider does not confirm oauth_callback: it speaks the unsafe OAuth 1.0")]
    CallbackNotConfirmed,
}

/// `Authorization` header of the POST that starts the flow (section 2.1).
///
/// # Errors
/// [`SignatureError`].
pub fn request_token_header(
    endpoint: &str,
    consumer: &Consumer<'_>,
    callback: &str,
    stamp: &Stamp,
) -> Result<Secret<String>, SignatureError> {
    post(endpoint).sign(consumer, None, stamp, Some(("oauth_callback", callback)))
}

/// Reads the temporary credentials.
///
/// SECURITY: without `oauth_callback_confirmed` an attacker could make a victim finish the
/// attacker's flow (session fixation of OAuth 1.0).
///
/// # Errors
/// [`FlowError`].
pub fn parse_temporary_credentials(answer: &Answer<'_>) -> Result<TokenPair, FlowError> {
    let (pair, document) = token_pair(answer)?;
    match document
        .text("oauth_callback_confirmed")
        .map_err(TokenFailure::from)?
    {
        Some("true") => Ok(pair),
        _ => Err(FlowError::CallbackNotConfirmed),
    }
}

/// Where the user is sent with the temporary token (section 2.2); `extra` holds the provider's own
/// parameters, such as Trello's `name`, `scope` and `expiration`.
///
/// # Errors
/// [`AuthorizeError`].
pub fn authorize_url(
    endpoint: &str,
    temporary: &TokenPair,
    extra: &[(String, String)],
) -> Result<Url, AuthorizeError> {
    let mut pairs = vec![("oauth_token", temporary.token.expose().as_str())];
    for (name, value) in extra {
        if name.starts_with("oauth_") {
            return Err(AuthorizeError::Reserved(name.clone()));
        }
        pairs.push((name, value));
    }
    with_query(endpoint, &pairs)
}

/// `Authorization` header of the POST that ends the flow (section 2.3).
///
/// # Errors
/// [`SignatureError`].
pub fn access_token_header(
    endpoint: &str,
    consumer: &Consumer<'_>,
    temporary: &TokenPair,
    verifier: &str,
    stamp: &Stamp,
) -> Result<Secret<String>, SignatureError> {
    post(endpoint).sign(
        consumer,
        Some(temporary),
        stamp,
        Some(("oauth_verifier", verifier)),
    )
}

/// Reads the token credentials.
///
/// # Errors
/// [`TokenFailure`].
pub fn parse_access_token(answer: &Answer<'_>) -> Result<TokenPair, TokenFailure> {
    token_pair(answer).map(|(pair, _)| pair)
}

fn post(url: &str) -> SignedRequest<'_> {
    SignedRequest {
        method: "POST",
        url,
        form: &[],
    }
}

fn token_pair(answer: &Answer<'_>) -> Result<(TokenPair, Document), TokenFailure> {
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
    let text = |name: &str| {
        let text = document
            .text(name)?
            .ok_or_else(|| BodyProblem::Missing(name.to_owned()))?;
        Ok::<_, BodyProblem>(Secret::new(text.to_owned()))
    };
    let pair = TokenPair {
        token: text("oauth_token")?,
        secret: text("oauth_token_secret")?,
    };
    Ok((pair, document))
}

/// `Authorization` header of a Trello call: key and token, unsigned.
pub fn trello_header(key: &str, token: &Secret<String>) -> Secret<String> {
    header(&[("oauth_consumer_key", key), ("oauth_token", token.expose())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FailureKind, oauth1::SignatureMethod};
    use keystead_types::{Rng, Timestamp};

    #[derive(Debug)]
    struct Fixed;

    impl Rng for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }

    fn answer(status: u16, body: &str) -> Answer<'_> {
        Answer {
            status,
            content_type: None,
            body: body.as_bytes(),
        }
    }

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.into())
    }

    #[test]
    fn the_flow_is_signed_step_by_step() {
        let consumer_secret = secret("consumer secret");
        let consumer = Consumer {
            key: "key",
            secret: &consumer_secret,
            method: SignatureMethod::HmacSha1,
        };
        let stamp = Stamp::new(Timestamp::from_secs(1_000), &Fixed);

        let header = request_token_header(
            "https://p.test/request",
            &consumer,
            "https://id.test/cb",
            &stamp,
        )
        .unwrap();
        assert!(header.expose().starts_with(
            "OAuth oauth_consumer_key=\"key\", oauth_nonce=\"BwcHBwcHBwcHBwcHBwcHBw\""
        ));
        assert!(
            header
                .expose()
                .contains("oauth_callback=\"https%3A%2F%2Fid.test%2Fcb\"")
        );
        assert!(!header.expose().contains("oauth_token"));

        let body = "oauth_token=t1&oauth_token_secret=s1&oauth_callback_confirmed=true";
        let temporary = parse_temporary_credentials(&answer(200, body)).unwrap();
        let url = authorize_url(
            "https://p.test/authorize",
            &temporary,
            &[("name".into(), "My app".into())],
        )
        .unwrap();
        assert_eq!(
            url.as_str(),
            "https://p.test/authorize?oauth_token=t1&name=My%20app"
        );

        let header =
            access_token_header("https://p.test/access", &consumer, &temporary, "v1", &stamp)
                .unwrap();
        assert!(
            header
                .expose()
                .contains("oauth_token=\"t1\", oauth_verifier=\"v1\", oauth_signature=\"")
        );
        let token =
            parse_access_token(&answer(200, "oauth_token=t2&oauth_token_secret=s2")).unwrap();
        assert_eq!((token.token, token.secret), (secret("t2"), secret("s2")));
    }

    #[test]
    fn unsafe_and_unusable_answers_are_refused() {
        let unconfirmed = ["", "&oauth_callback_confirmed=false"]
            .map(|tail| format!("oauth_token=t&oauth_token_secret=s{tail}"));
        for body in unconfirmed {
            let refused = parse_temporary_credentials(&answer(200, &body)).unwrap_err();
            assert_eq!(refused, FlowError::CallbackNotConfirmed);
        }
        let cases = [
            (200, "", TokenFailure::Malformed(BodyProblem::Empty)),
            (200, "<html>", TokenFailure::Malformed(BodyProblem::Html)),
            (
                200,
                "oauth_token=t",
                TokenFailure::Malformed(BodyProblem::Missing("oauth_token_secret".into())),
            ),
            (401, "invalid key", TokenFailure::Status { status: 401 }),
            (500, "", TokenFailure::Status { status: 500 }),
        ];
        for (status, body, expected) in cases {
            let failure = parse_access_token(&answer(status, body)).unwrap_err();
            assert_eq!(failure, expected);
            assert_eq!(failure.kind(), FailureKind::Transient);
        }
        let pair = TokenPair {
            token: secret("t"),
            secret: secret("s"),
        };
        let extra = [("oauth_callback".to_owned(), "https://evil.test".to_owned())];
        assert!(authorize_url("https://p.test/", &pair, &extra).is_err());
    }

    #[test]
    fn trello_needs_no_signature() {
        assert_eq!(
            trello_header("k1", &secret("t\"1")).expose(),
            "OAuth oauth_consumer_key=\"k1\", oauth_token=\"t%221\""
        );
    }
}
