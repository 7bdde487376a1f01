//! OAuth 1.0a (RFC 5849): HMAC-SHA1 signatures and the three-legged flow, and the unsigned token
//! route of Trello.

mod flow;
mod signature;

pub use flow::{
    FlowError, access_token_header, authorize_url, parse_access_token, parse_temporary_credentials,
    request_token_header, trello_authorize_url, trello_header,
};
pub use signature::{Consumer, SignatureError, SignedRequest, Stamp, TokenPair};
