//! Authorization links: from the link to a live credential (AK-300..AK-326).
//!
//! A link is opened any number of times and finished once. An OAuth flow is one row, single use,
//! bound to the browser (cookie) and the connection; a grant that must be verified waits beside the
//! account's live credential.

mod callback;
mod consent;
mod consenter;
mod create;
mod exchange_failure;
mod form;
mod hooks;
mod lapse;
mod limits;
mod oauth1;
mod place;
mod portal;
mod revoke;
mod settle;
mod verify;

pub use callback::{CallbackEnd, CallbackError};
pub use consent::Consent;
pub use create::{CreatedLink, NewLink, OpenLink};
pub use exchange_failure::ExchangeFailure;
pub use form::{FormAnswers, FormEnd};
pub(crate) use oauth1::consumer;
pub use place::{OpenQuestion, Place, ToChoose};

pub(crate) use limits::LinkRate;
pub(crate) use revoke::{Dropped, MAX_REVOCATIONS};
use std::time::Duration;

/// How long a trip to the provider may take (section 7).
pub(crate) const FLOW_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How long the application has to verify the user (AK-322).
pub(crate) const VERIFICATION_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// Wrong identifiers before a waiting grant is discarded (AK-322).
pub(crate) const MAX_VERIFY_ATTEMPTS: i64 = 5;

/// Purposes under which tokens are hashed.
pub(crate) mod purpose {
    pub(crate) const LINK: &str = "auth link";
    pub(crate) const STATE: &str = "auth flow state";
    pub(crate) const BROWSER: &str = "auth flow browser";
    pub(crate) const REQUEST: &str = "auth request";
    pub(crate) const PLACE: &str = "auth place";
}
