use crate::{AddressClass, BoxError};
use keystead_types::{ErrorCode, Reason};
use std::error::Error as StdError;

/// Why the guard refused a target (AK-470).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Blocked {
    /// The host is, or resolves to, an address of this class only.
    #[error("the host leads to a {0} address")]
    Address(AddressClass),
    /// Plain http, or no web scheme at all.
    #[error("only https URLs are allowed")]
    Scheme,
    /// A name that only a local network knows, which the proxy would have to resolve.
    #[error("the host is a name of a local network")]
    LocalName,
    /// The URL holds a user name or password.
    #[error("the URL must not hold credentials")]
    UserInfo,
}

/// Why there is no (complete) response. Texts hold no URL, header or address.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "source fields are what they say")]
pub enum FetchError {
    /// The guard refused the target; nothing was sent.
    #[error("the target is not allowed: {why}")]
    Blocked { why: Blocked },
    /// The host name does not resolve.
    #[error("the host name could not be resolved")]
    Dns { source: BoxError },
    /// No connection: refused, unreachable, reset during set-up.
    #[error("the host could not be reached")]
    Connect { source: BoxError },
    /// The TLS handshake failed, for example for an untrusted certificate.
    #[error("no secure connection could be made")]
    Tls { source: BoxError },
    /// A time limit passed.
    #[error("the host did not answer in time")]
    Timeout,
    /// The response body is larger than the limit.
    #[error("the response is larger than {limit} bytes")]
    TooLarge {
        /// Limit in bytes.
        limit: u64,
    },
    /// The body the caller sends could not be read; the source is the body's own error.
    #[error("the request body could not be read")]
    RequestBody { source: BoxError },
    /// The answer is not proper HTTP, or broke off.
    #[error("the host did not answer with proper HTTP")]
    Protocol { source: BoxError },
}

impl Reason for FetchError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Blocked { .. } => ErrorCode::TargetNotAllowed,
            Self::Timeout => ErrorCode::DeadlineExceeded,
            Self::RequestBody { .. } => ErrorCode::InvalidArgument,
            Self::Dns { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::TooLarge { .. }
            | Self::Protocol { .. } => ErrorCode::UpstreamUnreachable,
        }
    }
}

/// The client could not be set up.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "source fields are what they say")]
pub enum SetupError {
    /// A root certificate is not one.
    #[error("a root certificate could not be read")]
    Certificate { source: BoxError },
    /// The cryptographic provider refused the configuration.
    #[error("TLS could not be configured")]
    Tls { source: rustls::Error },
    /// Host and port of the egress proxy make no address.
    #[error("the egress proxy has no usable address")]
    Proxy,
    /// The user agent is not a legal header value.
    #[error("the user agent is not a valid header value")]
    UserAgent,
}

/// Why a connection could not be made; travels inside hyper's errors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Blocked(Blocked),
    #[error("name resolution failed")]
    Dns(#[source] BoxError),
    #[error("connection failed")]
    Tcp(#[source] BoxError),
    #[error("TLS handshake failed")]
    Tls(#[source] BoxError),
    #[error("connecting took too long")]
    Timeout,
}

/// The first error of type `E` in the chain.
pub(crate) fn find<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

impl From<hyper_util::client::legacy::Error> for FetchError {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        let wrap: fn(BoxError) -> Self = match find::<ConnectError>(&error) {
            Some(ConnectError::Blocked(why)) => return Self::Blocked { why: *why },
            Some(ConnectError::Timeout) => return Self::Timeout,
            Some(ConnectError::Dns(_)) => |source| Self::Dns { source },
            Some(ConnectError::Tcp(_)) => |source| Self::Connect { source },
            Some(ConnectError::Tls(_)) => |source| Self::Tls { source },
            None if error.is_connect() => |source| Self::Connect { source },
            None if find::<hyper::Error>(&error).is_some_and(hyper::Error::is_user) => {
                |source| Self::RequestBody { source }
            }
            None => |source| Self::Protocol { source },
        };
        wrap(error.into())
    }
}
