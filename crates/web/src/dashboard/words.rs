//! Values of the contract in words.

use crate::view::{Cell, FactValue, Monogram, Tone};
use keystead_proto::v1::{connected_accounts as accounts, connections};
use prost_types::Timestamp;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// A moment: RFC 3339 and as shown. `absent` is shown when there is none.
fn moment(at: Option<&Timestamp>, absent: &str) -> (String, String) {
    let at = at.and_then(|at| OffsetDateTime::from_unix_timestamp(at.seconds).ok());
    let Some(at) = at.map(|at| at.to_offset(UtcOffset::UTC)) else {
        return (String::new(), absent.to_owned());
    };
    let month = at.month().to_string();
    let month = month.get(..3).unwrap_or(&month);
    let text = format!(
        "{} {month} {}, {:02}:{:02} UTC",
        at.day(),
        at.year(),
        at.hour(),
        at.minute()
    );
    (at.format(&Rfc3339).unwrap_or_default(), text)
}

/// A moment in a table.
pub(crate) fn time_cell(at: Option<&Timestamp>, absent: &str) -> Cell {
    let (machine, text) = moment(at, absent);
    Cell::Time { machine, text }
}

/// A moment among facts.
pub(crate) fn time_fact(at: Option<&Timestamp>, absent: &str) -> FactValue {
    let (machine, text) = moment(at, absent);
    FactValue::Time { machine, text }
}

/// A moment within a sentence; empty when there is none.
pub(crate) fn time_text(at: Option<&Timestamp>) -> String {
    moment(at, "").1
}

/// The name of a row, with its tile.
pub(crate) fn lead(href: String, text: &str, sub: &str, tile: &str) -> Cell {
    Cell::Lead {
        href,
        text: text.to_owned(),
        sub: sub.to_owned(),
        tile: (!tile.is_empty()).then(|| Monogram::of(tile)),
    }
}

/// How an auth pattern type is called.
pub(crate) fn auth_type(kind: &str) -> &str {
    match kind {
        "OAUTH" => "OAuth 2.0",
        "BASIC" | "BASIC_AUTH" => "Username and password",
        "BEARER" | "BEARER_TOKEN" => "Bearer token",
        "API_KEY" => "API key",
        "NO_AUTH" => "No authentication",
        "SERVICE_ACCOUNT" => "Service account",
        "KEY_PAIR" => "Key pair",
        "CUSTOM_JWT" => "Signed token",
        "OAUTH_M2M" => "Client credentials",
        "TRELLO_OAUTH1" => "OAuth 1.0a",
        "GOOGLE_DWD" => "Google domain-wide delegation",
        "TRUSTED_IDP" => "AWS federation",
        "SMART_FHIR" => "SMART on FHIR",
        "CUSTOM" => "Custom",
        other => other,
    }
}

/// The state of a connection (specification 1.3).
pub(crate) fn connection_state(status: i32, enabled: bool) -> (Tone, String) {
    use connections::ConnectionStatus as S;
    let (tone, word) = match (S::try_from(status).unwrap_or_default(), enabled) {
        (S::Completed, true) => (Tone::Good, "Active"),
        (S::Completed, false) => (Tone::Neutral, "Disabled"),
        (S::InProgress, _) => (Tone::Info, "Testing"),
        (S::Draft | S::Unspecified, _) => (Tone::Warn, "Not finished"),
    };
    (tone, word.to_owned())
}

/// The states an account can be in, in the order of interest.
pub(crate) const ACCOUNT_STATES: [accounts::ConnectorStatus; 5] = [
    accounts::ConnectorStatus::Active,
    accounts::ConnectorStatus::Expired,
    accounts::ConnectorStatus::PendingAuth,
    accounts::ConnectorStatus::PendingVerification,
    accounts::ConnectorStatus::Disconnected,
];

/// The state of a connected account (specification 1.3).
pub(crate) fn account_state(status: i32) -> (Tone, String) {
    use accounts::ConnectorStatus as S;
    let (tone, word) = match S::try_from(status).unwrap_or_default() {
        S::Active => (Tone::Good, "Active"),
        S::Expired => (Tone::Bad, "Expired"),
        S::PendingAuth => (Tone::Warn, "Waiting for the user"),
        S::PendingVerification => (Tone::Warn, "Waiting for verification"),
        S::Disconnected => (Tone::Neutral, "Disconnected"),
        S::ConnectionStatusUnspecified => (Tone::Neutral, "Unknown"),
    };
    (tone, word.to_owned())
}

/// What to do about an account's state, if anything.
pub(crate) fn account_advice(status: i32) -> Option<(&'static str, &'static str)> {
    use accounts::ConnectorStatus as S;
    Some(match S::try_from(status).unwrap_or_default() {
        S::Expired => (
            "The provider no longer accepts this account's credential",
            "Calls with it fail until the user authorizes again. Create a link and send it to the user.",
        ),
        S::PendingAuth => (
            "The user has not connected this account yet",
            "Create a link and send it to the user.",
        ),
        S::PendingVerification => (
            "Your application has not confirmed this user yet",
            "It has ten minutes after the consent to call the verification endpoint. After that the user authorizes again.",
        ),
        S::Disconnected => (
            "This account is disconnected",
            "Its credential was removed. Create a link to connect it again.",
        ),
        S::Active | S::ConnectionStatusUnspecified => return None,
    })
}

/// "1 connection", "2 connections".
pub(crate) fn count(number: impl Into<u64>, one: &str, many: &str) -> String {
    let number = number.into();
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::{count, moment};
    use prost_types::Timestamp;

    #[test]
    fn moments_are_shown_in_utc_and_absence_in_words() {
        let at = Timestamp {
            seconds: 1_790_000_000,
            nanos: 0,
        };
        let (machine, text) = moment(Some(&at), "never");
        assert_eq!(
            (machine.as_str(), text.as_str()),
            ("2026-09-21T14:13:20Z", "21 Sep 2026, 14:13 UTC")
        );
        assert_eq!(moment(None, "never").1, "never");
        assert_eq!(
            moment(
                Some(&Timestamp {
                    seconds: i64::MAX,
                    nanos: 0
                }),
                "never"
            )
            .1,
            "never"
        );
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(count(1_u32, "row", "rows"), "1 row");
        assert_eq!(count(0_u32, "row", "rows"), "0 rows");
    }
}
