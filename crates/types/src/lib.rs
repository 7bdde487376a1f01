//! Ids, time, secrets, pages and error codes: no I/O, no async.
//!
//! Everything here is a plain value that any layer may hold. Nothing here reads a clock, draws a
//! random number or knows a protocol.

mod clock;
mod error_code;
mod id;
mod page;
mod reason;
mod secret;
mod timestamp;

pub use clock::{Clock, ManualClock, Rng};
pub use error_code::{ErrorCode, GrpcCode};
pub use id::*;
pub use page::{Page, PageRequest, PageSize};
pub use reason::{FieldViolation, Internal, Reason};
pub use secret::Secret;
pub use timestamp::Timestamp;
