//! The guard, the two call styles, TLS and SMTP against servers on loopback.

mod guard;
mod limits;
mod smtp;
mod streaming;
mod support;
mod tls;
