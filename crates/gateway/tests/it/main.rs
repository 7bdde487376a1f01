//! The gateway as its users see it: requests in, answers out.

mod app;
mod grpc;
mod listener;
mod openapi;
mod rest;
mod walks_all_methods;
