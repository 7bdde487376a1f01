//! In-process application, actors and engines for tests.

pub mod engines;
