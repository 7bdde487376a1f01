use super::{SECTION, grid, list_all};
use crate::{
    dashboard::{desk::Desk, trouble::Answer},
    render::html,
    view::{Action, Block, Empty, Icon},
};
use http::StatusCode;

/// The catalogue with search and filters (AK-002).
pub(super) async fn show(desk: Desk) -> Answer {
    let connectors = list_all(&desk).await?;
    let (filters, catalogue) = grid(&connectors, &desk.query, |connector| {
        desk.path(&format!("/connectors/{}", connector.provider.identifier))
    });
    let new = || Action::link("New connector", desk.path("/connectors/new")).primary();
    let mut page = desk.page(SECTION, "Connectors");
    page.lead =
        "The services your agents can work with. Add your own for any API or MCP server.".into();
    page.actions = vec![new()];
    let active = ["q", "category", "auth"]
        .iter()
        .any(|name| desk.query.has(name));
    page.blocks.push(Block::Filters {
        action: desk.path("/connectors"),
        filters,
        active,
    });
    page.blocks.push(if catalogue.items.is_empty() {
        Block::Empty(Empty {
            icon: Icon::Search,
            title: "No connector matches".to_owned(),
            text: "Try other words, or add the service yourself: all it takes is its address and how it signs in.".to_owned(),
            actions: vec![new()],
        })
    } else {
        Block::Catalogue(catalogue)
    });
    Ok(html(StatusCode::OK, &page))
}
