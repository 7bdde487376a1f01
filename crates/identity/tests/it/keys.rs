use crate::fixture::{App, ROOT_KEY, context};
use keystead_crypto::Place;
use keystead_jose::{Expect, sign, verify};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

fn kids(jwks: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(jwks).unwrap();
    let keys = document["keys"].as_array().unwrap();
    for key in keys {
        // MC-310, MC-311: exactly what the Python client can load.
        assert_eq!(
            (
                key["use"].as_str(),
                key["kty"].as_str(),
                key["alg"].as_str()
            ),
            (Some("sig"), Some("RSA"), Some("RS256"))
        );
        assert_eq!(key["e"], "AQAB");
        assert!(key.get("d").is_none());
    }
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

on_both_engines! {
    /// LG-004, MC-311, part of LG-007, MC-312, part of MC-313: the next key is published before it signs, the former
    /// one after it signed.
    async fn rotation_never_surprises_a_client_that_read_the_key_set_once(test: TestDb) {
        let app = App::started(&test).await;
        let before = app.ctx.signing_keys(app.env()).await.unwrap();
        let published = kids(&before.jwks);
        assert_eq!(published.len(), 2);
        assert!(published.iter().all(|kid| kid.starts_with("snk_")));
        let claims = json!({ "iss": "https://localhost:8443", "exp": 1_890_000_000 });
        let token = sign(&before.active, "JWT", &claims).unwrap();

        app.clock.advance(Duration::from_secs(60));
        app.ctx.rotate_signing_keys(app.env()).await.unwrap();
        let after = app.ctx.signing_keys(app.env()).await.unwrap();
        assert!(published.contains(&after.active_kid().to_owned()), "the key that signs now was known before");
        assert_ne!(after.active_kid(), before.active_kid());
        assert_eq!(kids(&after.jwks).len(), 3);
        let expect = Expect {
            issuer: "https://localhost:8443",
            audience: None,
            now: Timestamp::from_secs(1_790_000_100),
            leeway: Duration::ZERO,
        };
        assert!(verify(&token, &after.published, &expect).is_ok(), "old tokens stay valid");

        app.clock.advance(Duration::from_secs(26 * 60 * 60));
        app.ctx.rotate_signing_keys(app.env()).await.unwrap();
        let last = app.ctx.signing_keys(app.env()).await.unwrap();
        assert!(!kids(&last.jwks).contains(&before.active_kid().to_owned()), "a retired key leaves");
    }

    /// Part of MC-316: nodes that need the first key at the same time agree on one.
    async fn nodes_agree_on_the_first_signing_key(test: TestDb) {
        let app = App::started(&test).await;
        let env = app.env();
        let mut tasks = JoinSet::new();
        for node in 0..4 {
            let (ctx, _) = context(&test, ROOT_KEY, node);
            tasks.spawn(async move {
                let keys = ctx.signing_keys(env).await.unwrap();
                (keys.active_kid().to_owned(), keys.jwks.clone())
            });
        }
        let seen = tasks.join_all().await;
        assert!(seen.iter().all(|(kid, _)| *kid == seen[0].0), "{seen:?}");
    }

    /// AK-750, DB-230
    async fn each_environment_has_a_data_key_of_its_own(test: TestDb) {
        let app = App::started(&test).await;
        let staging = app.another_environment("Staging").await;
        let place = Place { environment: app.env(), table: "t", column: "c", row: "1" };
        let rng = keystead_crypto::SystemRng;
        let sealed = app.ctx.keyring(app.env()).await.unwrap().seal(&rng, &place, b"hunter2").unwrap();
        assert!(app.ctx.keyring(staging.id).await.unwrap().open(&place, &sealed).is_err());
        let (restarted, _) = context(&test, ROOT_KEY, 2);
        assert_eq!(restarted.keyring(app.env()).await.unwrap().open(&place, &sealed).unwrap().expose(), b"hunter2");
    }
}
