//! The pages over their router, as a browser sees them: cookies, forms, headers.

mod browser;
mod dashboard;
mod flow;
mod hosted;
mod login;
mod markup;
mod services;
mod sign_in;
mod world;
