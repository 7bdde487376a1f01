//! OAuth 1.0a (RFC 5849): signatures and the three-legged flow, and the unsigned calls of Trello.

mod callback;
mod flow;
mod signature;

pub use callback::{Callback, Verifier};
pub use flow::{
    FlowError, access_token_header, authorize_url, parse_access_token, parse_temporary_credentials,
    request_token_header, trello_header,
};
pub use signature::{Consumer, SignatureError, SignatureMethod, SignedRequest, Stamp, TokenPair};
