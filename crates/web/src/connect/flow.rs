//! What the hosted pages need from the domain.

use crate::form_data::FormData;
use keystead_types::{ConnectionId, FieldViolation, Secret};
use std::{fmt, net::IpAddr};
use url::Url;

/// The flows behind the hosted pages: opening a link, coming back from a provider, sending a form.
///
/// Every call resolves the environment from the host the browser asked for. No call consumes a link
/// before the credential is stored (AK-301), so that link scanners do no harm.
#[tonic::async_trait]
pub trait ConnectFlow: Send + Sync {
    /// Opens an authorization link (AK-303, AK-304).
    ///
    /// # Errors
    /// [`ConnectError::SessionExpired`] for a link that is unknown, expired or used.
    async fn open(&self, browser: &Browser, link: &Link) -> Result<Opened, ConnectError>;

    /// Takes what the visitor filled in: stores static credentials (the account is then connected),
    /// or remembers account fields and scopes and begins the provider's consent.
    ///
    /// The portal cookie must belong to the link's account and flow.
    ///
    /// # Errors
    /// As [`Self::open`]. Wrong input is not an error: see [`Submitted::Wrong`].
    async fn submit(
        &self,
        browser: &Browser,
        link: &Link,
        answers: Answers,
    ) -> Result<Submitted, ConnectError>;

    /// Finishes a consent at the provider (AK-309). `parameters` is all the provider sent.
    ///
    /// # Errors
    /// [`ConnectError::InvalidState`] for a state that is unknown, used, of another connection or
    /// of another browser.
    async fn callback(
        &self,
        browser: &Browser,
        connection: ConnectionId,
        parameters: &[(String, String)],
    ) -> Result<Finished, ConnectError>;

    /// Finishes an authorization that only signed-in members of the workspace may finish (AK-320).
    /// `request` comes from [`Finished::SignIn`]; the browser must hold both the connect cookie
    /// of the flow and a member's session.
    ///
    /// # Errors
    /// [`ConnectError::SessionExpired`] when the request is unknown, expired or not this browser's.
    async fn verify_member(
        &self,
        browser: &Browser,
        request: &str,
    ) -> Result<Finished, ConnectError>;

    /// What [`Self::verify_member`] would connect. Changes nothing.
    ///
    /// # Errors
    /// As [`Self::verify_member`].
    async fn to_verify(&self, browser: &Browser, request: &str) -> Result<ToVerify, ConnectError>;

    /// What [`Self::choose`] takes an answer to. Changes nothing. `request` comes from
    /// [`Finished::Choose`]; the browser must hold the connect cookie of the flow (AK-013).
    ///
    /// # Errors
    /// [`ConnectError::InvalidState`] when the request is unknown, answered, expired or not this
    /// browser's.
    async fn to_choose(
        &self,
        browser: &Browser,
        request: &str,
    ) -> Result<PlaceQuestion, ConnectError>;

    /// Finishes an authorization with the place the visitor chose; `None`, and nothing spent, when
    /// it is not one of those offered.
    ///
    /// # Errors
    /// As [`Self::to_choose`].
    async fn choose(
        &self,
        browser: &Browser,
        request: &str,
        place: &str,
    ) -> Result<Option<Finished>, ConnectError>;
}

/// Which of several places of a grant is meant.
#[derive(Clone, Debug)]
pub struct PlaceQuestion {
    /// Name of the application.
    pub application: String,
    /// Name of the service.
    pub provider: String,
    /// What the service calls such a place: `site`, `organisation`.
    pub noun: String,
    /// What there is to choose from.
    pub places: Vec<Place>,
}

/// A site, tenant or organisation.
#[derive(Clone, Debug)]
pub struct Place {
    /// What is sent back.
    pub value: String,
    /// Name.
    pub label: String,
    /// Address, or empty.
    pub about: String,
}

/// An account that waits for a member.
#[derive(Clone, Debug)]
pub struct ToVerify {
    /// Name of the service.
    pub service: String,
    /// Name of the connection.
    pub connection: String,
    /// The application's name for the user; `None` when all users share the account.
    pub user: Option<String>,
}

/// The browser a request came from.
#[derive(Clone, Debug)]
pub struct Browser {
    /// Host it asked for, without port, in lower case.
    pub host: String,
    /// Its address, for limits.
    pub address: Option<IpAddr>,
    /// Value of the connect cookie of the flow that the request is about.
    pub connect: Option<Secret<String>>,
    /// Value of the portal cookie of the link that the request is about.
    pub portal: Option<Secret<String>>,
    /// The dashboard session it holds.
    pub member_session: Option<Secret<String>>,
}

/// An authorization link, as opened.
#[derive(Clone, Debug)]
pub struct Link {
    /// The `token` parameter.
    pub token: Secret<String>,
    /// The `state` parameter.
    pub state: String,
}

/// What opening a link leads to.
#[derive(Clone, Debug)]
pub enum Opened {
    /// Nothing to ask: straight to the provider.
    Provider(Consent),
    /// The visitor has to fill something in first.
    Form {
        /// What to ask.
        form: ConnectForm,
        /// Value of the portal cookie to set.
        portal: Secret<String>,
    },
}

/// A consent begun at a provider. Its `Debug` shows the host alone: the address holds the state.
#[derive(Clone)]
pub struct Consent {
    /// The provider's authorization page.
    pub url: Url,
    /// The provider's name.
    pub provider: String,
    /// Value of the connect cookie to set.
    pub connect: Secret<String>,
    /// The first characters of the flow's state, at least 8: they name its cookies.
    pub flow: String,
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(f, "Consent({host})")
    }
}

/// What sending the form leads to.
#[derive(Clone, Debug)]
pub enum Submitted {
    /// Some answers are wrong: ask again.
    Wrong {
        /// What to ask.
        form: ConnectForm,
        /// What is wrong, by [`Question::name`]. Shown to the visitor.
        violations: Vec<FieldViolation>,
    },
    /// On to the provider.
    Provider(Consent),
    /// Connected.
    Finished(Finished),
}

/// How an authorization ended. Its `Debug` shows neither address nor numbers: they are what verifies.
#[derive(Clone)]
pub enum Finished {
    /// The account is connected.
    Connected,
    /// The application verifies the user at this address and then connects the account (AK-321).
    Application(Url),
    /// A member of the workspace has to sign in; `request` then goes to
    /// [`ConnectFlow::verify_member`].
    SignIn {
        /// Opaque number of the pending authorization, at most 1,000 characters of base64url.
        request: String,
    },
    /// The visitor has to say which place is meant; `request` then goes to [`ConnectFlow::choose`].
    Choose {
        /// Opaque number of the waiting grant, base64url.
        request: Secret<String>,
    },
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connected => "Connected",
            Self::Application(_) => "Application(…)",
            Self::SignIn { .. } => "SignIn(…)",
            Self::Choose { .. } => "Choose(…)",
        })
    }
}

/// What the hosted page asks for.
#[derive(Clone, Debug, Default)]
pub struct ConnectForm {
    /// Name of the application that asks: the environment's display name.
    pub application: String,
    /// Name of the service.
    pub provider: String,
    /// What the answers are for.
    pub purpose: Purpose,
    /// Fields, in order.
    pub questions: Vec<Question>,
    /// Permissions to choose from; empty when they are not for the visitor to choose.
    pub scopes: Vec<ScopeChoice>,
    /// Permissions that the provider treats as optional.
    pub optional_scopes: Vec<ScopeChoice>,
}

/// What the answers are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Purpose {
    /// They are the credentials: sending them connects the account.
    #[default]
    Credentials,
    /// They are needed before the provider asks for consent.
    BeforeConsent,
    /// Nothing is asked: the visitor agrees to act with the credential of the organization.
    Shared,
}

/// One field (AK-008).
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The connector's `field_name`.
    pub name: String,
    /// Label.
    pub label: String,
    /// Help.
    pub hint: String,
    /// `text`, `password`, `select` or `textarea`; others count as `text`.
    pub input_type: String,
    /// Must be filled in.
    pub required: bool,
    /// A value is stored already and kept when the answer is empty (AK-305).
    pub stored: bool,
    /// The present value, of fields that are not secret only.
    pub value: String,
    /// Choices of a `select`.
    pub options: Vec<QuestionOption>,
}

/// One choice of a `select`.
#[derive(Clone, Debug, Default)]
pub struct QuestionOption {
    /// Value.
    pub value: String,
    /// Name.
    pub label: String,
    /// Chosen at first.
    pub default: bool,
}

/// One permission.
#[derive(Clone, Debug, Default)]
pub struct ScopeChoice {
    /// The provider's name of it.
    pub scope: String,
    /// Name.
    pub label: String,
    /// What it allows.
    pub about: String,
    /// Always asked for.
    pub required: bool,
    /// Chosen.
    pub selected: bool,
}

/// What the visitor filled in.
#[derive(Clone, Debug)]
pub struct Answers {
    fields: FormData,
    /// Permissions chosen, when the form offered any.
    pub scopes: Vec<String>,
    /// Optional permissions chosen, when the form offered any.
    pub optional_scopes: Vec<String>,
}

impl Answers {
    pub(crate) fn new(fields: FormData) -> Self {
        Self {
            scopes: fields.all("scope"),
            optional_scopes: fields.all("optional_scope"),
            fields,
        }
    }

    /// The answer to a question; `None` when left empty.
    pub fn get(&self, question: &str) -> Option<Secret<String>> {
        let value = self.fields.secret(&field_name(question));
        (!value.is_empty()).then(|| Secret::new(value.to_owned()))
    }
}

/// Name of a question's field. The prefix keeps a connector's field from posing as one of ours.
pub(crate) fn field_name(question: &str) -> String {
    format!("field.{question}")
}

/// Why a hosted page cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The link or session is unknown, expired or used. The visitor must not learn which.
    #[error("the link has expired or was used")]
    SessionExpired,
    /// The state of the callback is unknown, used, or belongs to another browser or connection.
    #[error("the state is not valid")]
    InvalidState,
    /// The provider sent the browser back with something that is no answer.
    #[error("the answer cannot be read: {description}")]
    Unreadable {
        /// What is wrong with it, safe to show.
        description: String,
    },
    /// The provider answered with an error (AK-310).
    #[error("the provider refused: {code}")]
    Provider {
        /// The provider's `error`; only known values are shown.
        code: String,
        /// Name of the service.
        provider: String,
    },
    /// The code could not be exchanged, or what follows the exchange failed (AK-311).
    #[error("the exchange failed: {description}")]
    Exchange {
        /// What failed, safe to show.
        description: String,
        /// Name of the service.
        provider: String,
    },
    /// The application is not set up for this (AK-324).
    #[error("configuration: {description}")]
    Configuration {
        /// What is missing, safe to show.
        description: String,
    },
    /// The connection was deleted or is disabled.
    #[error("the connection is not available")]
    ConnectionUnavailable,
    /// Too many tries.
    #[error("too many requests")]
    TooManyRequests,
    /// Something of ours failed; the cause is logged, not shown.
    #[error(transparent)]
    Internal(#[from] keystead_types::Internal),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Part of AK-321: whoever has the number can verify, and whoever has the state can answer for the provider.
    #[test]
    fn what_verifies_is_not_shown() {
        let url = Url::parse("https://a.test/x?auth_request_id=n0t&state=n0t").unwrap();
        let consent = Consent {
            url: url.clone(),
            provider: "Mail".to_owned(),
            connect: Secret::new("n0t".to_owned()),
            flow: "n0t".to_owned(),
        };
        let request = "n0t".to_owned();
        let ends = [Finished::Application(url), Finished::SignIn { request }];
        let shown = format!("{consent:?} {ends:?}");
        assert_eq!(shown, "Consent(a.test) [Application(…), SignIn(…)]");
    }
}
