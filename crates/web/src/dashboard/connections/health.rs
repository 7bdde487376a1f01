//! How a connection is doing (AK-109, AK-116, AK-117).

use crate::{
    dashboard::{desk::Desk, words},
    view::{Block, Card, CardBody, Cell, Fact, FactValue, Table, Tone},
};
use keystead_proto::{
    extensions::{
        CallFigures, FailedCall, GetConnectionHealthRequest, GetConnectionHealthResponse,
    },
    v1::connections::TestResultStatus,
};

/// What the server tells; `None` when the member may not see it: the rest of the page is of use
/// without.
pub(super) struct Health(Option<GetConnectionHealthResponse>);

impl Health {
    pub(super) async fn load(desk: &Desk, connection: &str) -> Self {
        let request = GetConnectionHealthRequest {
            connection_id: connection.to_owned(),
        };
        let mut records = desk.rpc.connection_extensions();
        let answer = records.get_connection_health(request).await;
        Self(answer.ok().map(tonic::Response::into_inner))
    }

    /// In words: how many accounts are in each state.
    pub(super) fn by_state(&self) -> String {
        let Some(health) = &self.0 else {
            return String::new();
        };
        let of = |state| {
            let tally = health.accounts.iter().find(|tally| tally.status == state);
            tally.map_or(0, |tally| tally.total)
        };
        let states = words::ACCOUNT_STATES.into_iter().map(i32::from);
        let parts = states.filter(|state| of(*state) > 0).map(|state| {
            let (_, word) = words::account_state(state);
            format!("{} {}", of(state), word.to_lowercase())
        });
        parts.collect::<Vec<_>>().join(" · ")
    }

    pub(super) fn blocks(&self, desk: &Desk) -> Vec<Block> {
        let Some(health) = &self.0 else {
            return Vec::new();
        };
        let mut blocks = vec![Block::Card(Box::new(Card {
            title: "Health".to_owned(),
            about: "Refreshes and calls of the last 24 hours.".to_owned(),
            body: CardBody::Facts(facts(health)),
            ..Card::default()
        }))];
        if !health.last_errors.is_empty() {
            let rows = health.last_errors.iter();
            blocks.push(Block::Card(Box::new(Card {
                title: "Last errors".to_owned(),
                body: CardBody::Table(Table {
                    caption: "Last errors".to_owned(),
                    columns: vec!["Call", "Answer", "Reason", "When"],
                    rows: rows.map(|call| row(desk, call)).collect(),
                    ..Table::default()
                }),
                ..Card::default()
            })));
        }
        blocks
    }
}

fn facts(health: &GetConnectionHealthResponse) -> Vec<Fact> {
    let mut facts = vec![last_test(health)];
    if !health.lacking_scopes.is_empty() {
        let lacking = health.lacking_scopes.iter().map(|tally| {
            let accounts = words::count(tally.total, "account", "accounts");
            format!("{}: {accounts}", tally.scope)
        });
        let fact = Fact::new(
            "Permissions not given yet",
            FactValue::Tags(lacking.collect()),
        );
        facts.push(fact.note("These users have to authorize again."));
    }
    let (good, bad) = (health.refreshes_succeeded, health.refreshes_failed);
    facts.push(Fact::text(
        "Refreshes",
        if good + bad == 0 {
            "None".to_owned()
        } else {
            format!("{good} succeeded · {bad} failed")
        },
    ));
    let calls = health.calls.unwrap_or_default();
    facts.push(Fact::text("Calls", volume(&calls)));
    if calls.count > 0 {
        let times = format!("{:.0} ms · {:.0} ms", calls.p50_ms, calls.p95_ms);
        let fact = Fact::text("Time of a call", times);
        facts.push(fact.note("Half of the calls, and 95 of 100, took no longer."));
    }
    if let Some(limit) = health.rate_limit_per_minute {
        facts.push(Fact::text("Rate limit", format!("{limit} calls a minute")));
    }
    facts
}

fn volume(calls: &CallFigures) -> String {
    if calls.count == 0 {
        return "None".to_owned();
    }
    let percent = f64::from(calls.failed) * 100.0 / f64::from(calls.count);
    let count = words::count(calls.count, "call", "calls");
    format!("{count} · {percent:.1} % failed")
}

fn last_test(health: &GetConnectionHealthResponse) -> Fact {
    const NAME: &str = "Last test";
    let Some(test) = &health.last_test else {
        return Fact::text(NAME, "Never tested");
    };
    let when = words::time_text(test.finished_at.as_ref().or(test.started_at.as_ref()));
    let (tone, word, note) = match TestResultStatus::try_from(test.status).unwrap_or_default() {
        TestResultStatus::Success => (Tone::Good, "Passed", when),
        TestResultStatus::Failure => {
            let why = if test.error_description.is_empty() {
                &test.error
            } else {
                &test.error_description
            };
            (Tone::Bad, "Failed", format!("{when}: {why}"))
        }
        TestResultStatus::Pending => (Tone::Info, "Not finished yet", when),
    };
    Fact::new(NAME, FactValue::Badge(tone, word.to_owned())).note(note)
}

fn row(desk: &Desk, call: &FailedCall) -> Vec<Cell> {
    let account = desk.path(&format!("/accounts/{}", call.connected_account_id));
    let answer = call
        .http_status
        .map_or_else(|| "None".to_owned(), |code| code.to_string());
    vec![
        words::lead(account, &call.tool_name, &call.connected_account_id, ""),
        Cell::Text(answer),
        Cell::Text(call.error_code.clone()),
        words::time_cell(call.started_at.as_ref(), "–"),
    ]
}
