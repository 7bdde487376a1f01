//! Connectors: the catalogue and the workspace's own (AK-002, AK-004 to AK-023).

mod auth_pattern;
mod catalogue;
mod copy;
mod detail;
mod edit;
mod form;
mod pattern;

pub(super) use pattern::{Connector, Names, find, list_all};

use crate::{
    Deps,
    view::{Catalogue, Choice, Filter, Item, Monogram},
};
use axum::{Router, routing::get};

const SECTION: &str = "connectors";

pub(super) fn routes() -> Router<Deps> {
    Router::new()
        .route("/", get(catalogue::show).post(edit::create))
        .route("/new", get(edit::ask_new))
        .route("/{id}", get(detail::show))
        .route("/{id}/edit", get(edit::ask).post(edit::update))
        .route("/{id}/copy", get(copy::ask).post(copy::copy))
        .route("/{id}/delete", get(detail::ask_delete).post(detail::delete))
}

/// Connectors that match what was searched for, as a grid, and the filters over it.
pub(super) fn grid(
    connectors: &[Connector],
    query: &crate::form_data::FormData,
    href: impl Fn(&Connector) -> String,
) -> (Vec<Filter>, Catalogue) {
    let (text, category, auth) = (
        query.text("q").to_lowercase(),
        query.text("category"),
        query.text("auth"),
    );
    let matches = |connector: &&Connector| {
        let provider = &connector.provider;
        let haystack = format!(
            "{} {} {}",
            provider.display_name, provider.identifier, provider.description
        );
        text.split_whitespace()
            .all(|word| haystack.to_lowercase().contains(word))
            && (category.is_empty() || provider.categories.iter().any(|known| known == category))
            && (auth.is_empty() || connector.auth_types().contains(&auth))
    };
    let found: Vec<&Connector> = connectors.iter().filter(matches).collect();
    let item = |connector: &&Connector| Item {
        href: href(connector),
        name: connector.provider.display_name.clone(),
        tile: Monogram::of(&connector.provider.display_name),
        how: connector.how(),
        about: connector.provider.description.clone(),
        tags: connector.tags(),
    };
    let catalogue = Catalogue {
        items: found.iter().map(item).collect(),
        total: super::words::count(found.len() as u64, "connector", "connectors"),
    };
    let mut categories: Vec<&str> = connectors
        .iter()
        .flat_map(|c| &c.provider.categories)
        .map(String::as_str)
        .collect();
    let mut types: Vec<&str> = connectors.iter().flat_map(Connector::auth_types).collect();
    let choices = |values: &mut Vec<&str>, all: &str, current: &str, label: fn(&str) -> &str| {
        values.sort_unstable();
        values.dedup();
        let values = values
            .iter()
            .map(|value| Choice::new(value, label(value), "", current));
        std::iter::once(Choice::new("", all, "", current))
            .chain(values)
            .collect()
    };
    let filters = vec![
        Filter::Search {
            name: "q",
            label: "Search",
            value: query.text("q").to_owned(),
            placeholder: "Name or purpose",
        },
        Filter::Select {
            name: "category",
            label: "Category",
            choices: choices(&mut categories, "All categories", category, |value| value),
        },
        Filter::Select {
            name: "auth",
            label: "Sign-in",
            choices: choices(&mut types, "All kinds", auth, super::words::auth_type),
        },
    ];
    (filters, catalogue)
}
