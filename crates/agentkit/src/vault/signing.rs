//! Credentials that sign each request as a whole (RFC 5849 section 3.4, AWS Signature Version 4).

use super::exchange::client_of;
use crate::{
    AgentKit, Error, accounts::Grounds, error::Result, links::consumer, providers::AuthKind,
};
use http::{HeaderMap, HeaderValue, Request, header};
use keystead_oauth::oauth1::{SignedRequest, Stamp, TokenPair};
use keystead_types::Secret;

impl AgentKit {
    /// Signs a request that is complete but for the signature, if the credential is of that kind.
    /// `body` is `None` when it streams through.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the credential or the request cannot be signed.
    pub(crate) fn sign<B>(
        &self,
        grounds: &Grounds,
        request: &mut Request<B>,
        body: Option<&[u8]>,
    ) -> Result<()> {
        match grounds.pattern.kind {
            AuthKind::TrelloOauth1 => self.sign_oauth1(grounds, request, body),
            AuthKind::TrustedIdp => self.sign_aws(grounds, request, body),
            _ => Ok(()),
        }
    }

    fn sign_oauth1<B>(
        &self,
        grounds: &Grounds,
        request: &mut Request<B>,
        body: Option<&[u8]>,
    ) -> Result<()> {
        let Some(settings) = grounds.oauth1().filter(|settings| settings.sign_calls) else {
            return Ok(());
        };
        let credential = &grounds.credential;
        if credential.access_token.is_empty() || credential.token_secret.is_empty() {
            return Err(Error::field(
                "token",
                "has no value on the connected account",
            ));
        }
        let client = client_of(grounds).ok_or_else(|| {
            Error::field("client_id", "the application of the grant is not known")
        })?;
        let secret = Secret::new(client.client_secret.clone());
        let token = TokenPair {
            token: Secret::new(credential.access_token.clone()),
            secret: Secret::new(credential.token_secret.clone()),
        };
        let form = form_of(request.headers(), body)?;
        let url = request.uri().to_string();
        let signed = SignedRequest {
            method: request.method().as_str(),
            url: &url,
            form: &form,
        };
        let stamp = Stamp::new(self.ctx().clock.now(), &*self.ctx().rng);
        let value = signed
            .authorization(&consumer(&settings, &client, &secret), Some(&token), &stamp)
            .map_err(|error| Error::TargetNotAllowed(error.to_string()))?;
        let mut value = HeaderValue::try_from(value.expose().as_str()).map_err(|_| {
            Error::field("token", "the stored credential cannot be sent in a header")
        })?;
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
        Ok(())
    }
}

/// The fields of a form are signed too (RFC 5849 section 3.4.1.3.1), so a form must be at hand.
fn form_of(headers: &HeaderMap, body: Option<&[u8]>) -> Result<Vec<(String, String)>> {
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| {
            kind.trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
    match (is_form, body) {
        (false, _) => Ok(Vec::new()),
        (true, Some(body)) => Ok(url::form_urlencoded::parse(body).into_owned().collect()),
        (true, None) => Err(Error::field(
            "body",
            "a form of this size cannot be signed; send it as another content type or in parts",
        )),
    }
}
