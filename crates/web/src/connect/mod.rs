//! The pages an end user sees while connecting an account (AK-303 to AK-313).

mod flow;
mod form;
mod outcome;
mod place;
mod routes;

pub use flow::{
    Answers, Browser, ConnectError, ConnectFlow, ConnectForm, Consent, Finished, Link, Opened,
    Place, PlaceQuestion, Purpose, Question, QuestionOption, ScopeChoice, Submitted, ToVerify,
};
pub(crate) use routes::router;
