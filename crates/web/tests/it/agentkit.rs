//! The AgentKit pages of the dashboard, use case by use case.

mod accounts;
mod connections;
mod connectors;
mod settings;
