//! What happened to an account: links, consents, refreshes, failures and their reasons (AK-219).

use crate::{
    dashboard::{desk::Desk, words},
    view::{Block, Card, CardBody, Cell, Empty, Icon, Table, Tone},
};
use keystead_proto::{
    extensions::{ConnectedAccountHistoryEntry, ListConnectedAccountHistoryRequest},
    v1::connected_accounts::ConnectorStatus,
};
use prost_types::Timestamp;

const FAILED_REFRESH: &str = "connected_account.token_refresh_failed";

/// The newest entries of an account's history.
pub(super) struct History(Vec<ConnectedAccountHistoryEntry>);

impl History {
    /// Empty when it cannot be read: the rest of the page is of use without it.
    pub(super) async fn load(desk: &Desk, account: &str) -> Self {
        let request = ListConnectedAccountHistoryRequest {
            id: account.to_owned(),
            page_size: 50,
        };
        let mut records = desk.rpc.account_extensions();
        let answer = records.list_connected_account_history(request).await;
        Self(answer.map_or_else(|_| Vec::new(), |answer| answer.into_inner().entries))
    }

    /// When tokens were last received from the service.
    pub(super) fn last_refresh(&self) -> Option<&Timestamp> {
        let fetched = |entry: &&ConnectedAccountHistoryEntry| {
            matches!(
                entry.kind.as_str(),
                "connected_account.token_refresh_succeeded"
                    | "connected_account.oauth_tokens_fetched"
            )
        };
        self.0.iter().find(fetched)?.occurred_at.as_ref()
    }

    /// Why the last refresh failed, when none succeeded since.
    pub(super) fn why_refresh_failed(&self) -> Option<&str> {
        let refreshes =
            |entry: &&ConnectedAccountHistoryEntry| entry.kind.contains(".token_refresh_");
        let last = self.0.iter().find(refreshes)?;
        (last.kind == FAILED_REFRESH && !last.detail.is_empty()).then_some(&last.detail)
    }

    pub(super) fn block(&self) -> Block {
        Block::Card(Box::new(Card {
            title: "History".to_owned(),
            about: "The newest first.".to_owned(),
            body: CardBody::Table(Table {
                caption: "History".to_owned(),
                columns: vec!["What", "Details", "When"],
                rows: self.0.iter().map(row).collect(),
                empty: Some(Empty {
                    icon: Icon::Clock,
                    title: "Nothing to show".to_owned(),
                    text: "Links, authorizations and refreshes appear here.".to_owned(),
                    actions: Vec::new(),
                }),
                ..Table::default()
            }),
            ..Card::default()
        }))
    }
}

fn row(entry: &ConnectedAccountHistoryEntry) -> Vec<Cell> {
    let (tone, what) = in_words(&entry.kind);
    vec![
        Cell::Badge(tone, what),
        Cell::Text(detail(entry)),
        words::time_cell(entry.occurred_at.as_ref(), "–"),
    ]
}

fn in_words(kind: &str) -> (Tone, String) {
    let name = kind.rsplit('.').next().unwrap_or(kind);
    let (tone, words) = match name {
        "created" => (Tone::Neutral, "Account created"),
        "updated" => (Tone::Neutral, "Account changed"),
        "status_updated" => (Tone::Neutral, "State changed"),
        "magic_link_generated" => (Tone::Info, "Link created"),
        "oauth_succeeded" => (Tone::Good, "Permission given"),
        "oauth_failed" => (Tone::Bad, "Authorization failed"),
        "oauth_tokens_fetched" => (Tone::Good, "Tokens received"),
        "token_refresh_succeeded" => (Tone::Good, "Token refreshed"),
        "token_refresh_failed" => (Tone::Bad, "Refresh failed"),
        other => return (Tone::Neutral, other.replace('_', " ")),
    };
    (tone, words.to_owned())
}

/// States are stored by their names on the wire.
fn detail(entry: &ConnectedAccountHistoryEntry) -> String {
    let state = |name: &str| {
        let known = ConnectorStatus::from_str_name(name)?;
        Some(words::account_state(known.into()).1)
    };
    let change = entry.detail.split_once(" → ");
    change
        .and_then(|(old, new)| Some(format!("{} → {}", state(old)?, state(new)?)))
        .unwrap_or_else(|| entry.detail.clone())
}

#[cfg(test)]
mod tests {
    use super::{ConnectedAccountHistoryEntry, History, detail, in_words};

    fn entry(kind: &str, detail: &str) -> ConnectedAccountHistoryEntry {
        ConnectedAccountHistoryEntry {
            kind: format!("connected_account.{kind}"),
            detail: detail.to_owned(),
            ..ConnectedAccountHistoryEntry::default()
        }
    }

    #[test]
    fn states_are_shown_in_words_and_other_details_as_they_are() {
        let shown = |text| detail(&entry("status_updated", text));
        assert_eq!(shown("ACTIVE → EXPIRED"), "Active → Expired");
        assert_eq!(shown("a → b"), "a → b");
        assert_eq!(in_words("connected_account.brand_new").1, "brand new");
    }

    #[test]
    fn an_old_failure_is_no_reason() {
        let failed = || entry("token_refresh_failed", "invalid_grant");
        let succeeded = || entry("token_refresh_succeeded", "");
        let link = || entry("magic_link_generated", "");
        let why = |entries: Vec<ConnectedAccountHistoryEntry>| {
            History(entries).why_refresh_failed().map(str::to_owned)
        };
        assert_eq!(
            why(vec![link(), failed(), succeeded()]).as_deref(),
            Some("invalid_grant")
        );
        assert_eq!(why(vec![succeeded(), failed()]), None);
        assert_eq!(why(vec![link()]), None);
    }
}
