//! The real binary as its users start it.

mod backup;
mod config;
mod dev;
mod process;
mod serve;
