//! The pages over their router, as a browser sees them: cookies, forms, headers.

mod browser;
mod flow;
mod hosted;
mod markup;
