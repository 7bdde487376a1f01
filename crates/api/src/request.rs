//! What every method takes from a request.

use crate::status::{Plain, from_reason};
use keystead_authz::Caller;
use keystead_proto::ExplicitFields;
use keystead_types::{ErrorCode, PageRequest, PageSize};
use tonic::{Request, Response, Status};

/// What a method answers.
pub(crate) type Reply<T> = Result<Response<T>, Status>;

/// Takes the message and the caller that the gateway let in.
pub(crate) fn open<T>(mut request: Request<T>) -> Result<(Caller, T), Status> {
    let caller = request.extensions_mut().remove::<Caller>();
    // Only wiring that leaves the gateway out gets here without one.
    let missing = || {
        from_reason(&Plain::new(
            ErrorCode::Unauthenticated,
            ErrorCode::Unauthenticated.default_message(),
        ))
    };
    let caller = caller.ok_or_else(missing)?;
    Ok((caller, request.into_inner()))
}

/// The fields that the caller wrote down, when the request was made from JSON or a form.
pub(crate) fn explicit<T>(request: &Request<T>) -> Option<ExplicitFields> {
    request.extensions().get().cloned()
}

/// Page of a list with 30 rows by default and 100 at most.
pub(crate) fn page(size: u32, token: String) -> PageRequest {
    PageRequest {
        size: PageSize::clamp(size, 30, 100),
        token,
    }
}

/// Page of a list with 10 rows by default and 30 at most.
pub(crate) fn small_page(size: u32, token: String) -> PageRequest {
    PageRequest {
        size: PageSize::clamp(size, 10, 30),
        token,
    }
}

/// The part of a message that the contract requires.
pub(crate) fn required<T>(field: Option<T>, name: &str) -> Result<T, Status> {
    field.ok_or_else(|| {
        from_reason(&Plain::new(
            ErrorCode::InvalidArgument,
            format!("{name} is required"),
        ))
    })
}
