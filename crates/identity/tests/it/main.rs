//! Use cases of `identity` on both engines.

mod clients;
mod environments;
mod first_start;
mod fixture;
mod keys;
mod members;
mod organizations;
mod search;
