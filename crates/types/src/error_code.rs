/// A gRPC status code (numbers as on the wire).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are gRPC's own")]
pub enum GrpcCode {
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl GrpcCode {
    /// The HTTP status that stands for the code over REST.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition | Self::OutOfRange => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Aborted => 409,
            Self::ResourceExhausted => 429,
            Self::Cancelled => 499,
            Self::Unknown | Self::Internal | Self::DataLoss => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }
}

impl ErrorCode {
    /// The HTTP status over REST, where the code has another than its gRPC status.
    ///
    /// The gateway answers 413, as HTTP has a status of its own for it.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::RequestTooLarge => 413,
            other => other.grpc().http_status(),
        }
    }

    /// The HTTP status that the proxy answers with: it is a gateway to the provider, and 502 says that
    /// the next server failed, where 503 would say that this one is busy (AK-454).
    pub const fn proxy_status(self) -> u16 {
        match self {
            Self::UpstreamUnreachable => 502,
            other => other.http_status(),
        }
    }
}

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $wire:literal, $grpc:ident, $message:literal;)*) => {
        /// Every reason a request can fail for: the name on the wire decides the rest.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum ErrorCode { $($(#[doc = $doc])+ $name,)* }

        impl ErrorCode {
            /// All codes, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name on the wire (`ErrorInfo.error_code`).
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $wire,)* }
            }

            /// The gRPC status.
            pub const fn grpc(self) -> GrpcCode {
                match self { $(Self::$name => GrpcCode::$grpc,)* }
            }

            /// What the code means, for the error reference.
            pub fn description(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim(),)* }
            }

            /// The text used when nothing more precise is known.
            pub const fn default_message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

error_codes! {
    /// A field broke a rule of the contract.
    InvalidArgument = "INVALID_ARGUMENT", InvalidArgument, "the request is not valid";
    /// No usable credential was sent.
    Unauthenticated = "UNAUTHENTICATED", Unauthenticated, "the access token is missing, expired or not valid";
    /// The credential lacks the permission, or its kind may not call this.
    PermissionDenied = "PERMISSION_DENIED", PermissionDenied, "the credential does not allow this call";
    /// The thing named does not exist in this environment.
    NotFound = "NOT_FOUND", NotFound, "not found";
    /// The name or key is taken.
    AlreadyExists = "ALREADY_EXISTS", AlreadyExists, "already exists";
    /// The thing is not in a state that allows this.
    FailedPrecondition = "FAILED_PRECONDITION", FailedPrecondition, "the current state does not allow this";
    /// Another change came first.
    Aborted = "ABORTED", Aborted, "another change came first; read again and retry";
    /// Too many requests.
    ResourceExhausted = "RESOURCE_EXHAUSTED", ResourceExhausted, "too many requests; wait and retry";
    /// The method exists in the contract and is not built yet.
    Unimplemented = "UNIMPLEMENTED", Unimplemented, "this method is not implemented yet";
    /// The server is draining or a dependency is down.
    Unavailable = "UNAVAILABLE", Unavailable, "the service is not available; retry";
    /// The deadline passed.
    DeadlineExceeded = "DEADLINE_EXCEEDED", DeadlineExceeded, "the deadline passed";
    /// Something broke on our side.
    Internal = "INTERNAL", Internal, "an internal error occurred; quote the request id when asking for help";

    /// A page token that was changed, or belongs to another list or environment.
    InvalidPageToken = "INVALID_PAGE_TOKEN", InvalidArgument, "page_token does not belong to this list";
    /// The request rate of the caller, its address or its environment is too high.
    RateLimited = "RATE_LIMITED", ResourceExhausted, "too many requests; wait and retry";
    /// The client has as many active secrets as it may have.
    SecretLimitReached = "SECRET_LIMIT_REACHED", FailedPrecondition, "the client has as many active secrets as it may have";
    /// The request body is larger than allowed.
    RequestTooLarge = "REQUEST_TOO_LARGE", ResourceExhausted, "the request body is too large";

    /// No such connector.
    ProviderNotFound = "PROVIDER_NOT_FOUND", NotFound, "provider not found";
    /// No such connection.
    ConnectionNotFound = "CONNECTION_NOT_FOUND", NotFound, "connection not found";
    /// The connection is disabled or a draft.
    ConnectionNotEnabled = "CONNECTION_NOT_ENABLED", FailedPrecondition, "the connection is not enabled";
    /// The connection lacks a setting it needs.
    ConnectionIncomplete = "CONNECTION_INCOMPLETE", FailedPrecondition, "the connection is not configured completely";
    /// No such connected account.
    ConnectedAccountNotFound = "CONNECTED_ACCOUNT_NOT_FOUND", NotFound, "connected account not found";
    /// The account has no live credential.
    ConnectedAccountNotActive = "CONNECTED_ACCOUNT_NOT_ACTIVE", FailedPrecondition, "the connected account is not active";
    /// Several accounts fit the keys sent.
    AmbiguousConnectedAccount = "AMBIGUOUS_CONNECTED_ACCOUNT", InvalidArgument, "ambiguous connected account";
    /// The credential sent does not fit the connection's kind.
    AuthTypeMismatch = "AUTH_TYPE_MISMATCH", InvalidArgument, "the credential does not fit the connection";
    /// A flow was finished, expired or never existed.
    AuthRequestNotFound = "AUTH_REQUEST_NOT_FOUND", NotFound, "auth request not found or no longer valid";
    /// The user who verifies is not the one the link was made for.
    IdentifierMismatch = "IDENTIFIER_MISMATCH", PermissionDenied, "identifier mismatch";
    /// The provider refused to refresh the grant.
    TokenRefreshFailed = "TOKEN_REFRESH_FAILED", FailedPrecondition, "the token could not be refreshed";
    /// The proxy is switched off for the provider.
    ProxyNotEnabled = "PROXY_NOT_ENABLED", PermissionDenied, "proxy not enabled for provider";
    /// The target is private or outside the provider's hosts.
    TargetNotAllowed = "TARGET_NOT_ALLOWED", PermissionDenied, "the target address is not allowed";
    /// A value of a URL template is missing or not legal.
    TemplateValueInvalid = "TEMPLATE_VALUE_INVALID", InvalidArgument, "a value of the URL template is missing or not valid";
    /// A limit of this server was hit, not one of the provider.
    RateLimitedLocal = "RATE_LIMITED_LOCAL", ResourceExhausted, "the rate limit of the connection was reached; wait and retry";
    /// The provider could not be reached.
    UpstreamUnreachable = "UPSTREAM_UNREACHABLE", Unavailable, "the provider could not be reached";
    /// The provider answered with an error during a tool call.
    ToolError = "TOOL_ERROR", Internal, "the provider answered with an error";
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_upper_case() {
        let names: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        assert!(
            names
                .iter()
                .all(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        );
    }
}
