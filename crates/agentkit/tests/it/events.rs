//! What subscribers are told of accounts.

use crate::fixture::{App, TOKEN_LIFE, by_id};
use keystead_events::Envelope;
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::Value;
use std::collections::BTreeSet;

on_both_engines! {
    /// AK-620, AK-621: every event of an account has the envelope and the account's words, and no secret.
    async fn events_of_accounts_have_envelope_and_data(test: TestDb) {
        let app = App::started(&test).await;
        let connection = app.oauth().await;
        let id = app.connected(&connection, "ada").await;
        app.clock.advance(TOKEN_LIFE);
        app.get(id, "/me").await.unwrap();
        let grounds = app.kit.grounds(app.env, by_id(id)).await.unwrap();
        app.kit.disconnect_account(app.env, &app.actor, by_id(id)).await.unwrap();
        app.kit.delete_account(app.env, &app.actor, by_id(id)).await.unwrap();

        let mut kinds = BTreeSet::new();
        let secrets = [&grounds.credential.access_token, &grounds.credential.refresh_token];
        for event in app.events().await {
            let sent = serde_json::to_value(Envelope::of(&event)).unwrap();
            let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{sent}")).to_owned();
            assert_eq!((text(&sent["spec_version"]), text(&sent["object"])), ("1".to_owned(), "ConnectedAccount".to_owned()));
            assert!(text(&sent["id"]).starts_with("evt_"));
            assert_eq!(text(&sent["environment_id"]), app.env.to_string());
            assert!(text(&sent["display_name"]).starts_with("Connected account "));
            assert_eq!(text(&sent["occurred_at"]).len(), "2026-09-21T14:13:20.000000000Z".len());
            let data = &sent["data"];
            for (name, expected) in [
                ("id", id.to_string()), ("identifier", "ada".to_owned()), ("connection_id", connection.id.to_string()),
                ("provider", connection.provider_key.clone()), ("authorization_type", "OAUTH".to_owned()),
            ] {
                assert_eq!(text(&data[name]), expected, "{sent}");
            }
            text(&data["status"]);
            let all = sent.to_string();
            assert!(secrets.iter().all(|secret| !secret.is_empty() && !all.contains(secret.as_str())));
            assert!(!all.contains("/oauth/connect") && !all.contains("token="), "no link: {all}");
            if text(&sent["type"]) == "connected_account.status_updated" {
                assert_eq!(text(&data["connection_name"]), connection.key_id);
                assert_ne!(text(&data["old_status"]), text(&data["status"]));
            } else {
                assert!(data.get("old_status").is_none());
            }
            kinds.insert(text(&sent["type"]));
        }
        for kind in ["created", "status_updated", "magic_link_generated", "oauth_succeeded", "token_refresh_succeeded", "deleted"] {
            assert!(kinds.contains(&format!("connected_account.{kind}")), "{kind} of {kinds:?}");
        }
        let first = &app.events().await[0];
        assert_eq!(first.kind, "connected_account.created", "and no change of state with it");
    }
}
