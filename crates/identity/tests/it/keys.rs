use crate::fixture::{App, ROOT_KEY, context, plan};
use keystead_crypto::Place;
use keystead_identity::{
    Actor, MIN_ROTATION_INTERVAL, Rotation, RotationError, environments, upkeep,
};
use keystead_jose::{Expect, sign, verify};
use keystead_testkit::{engines::TestDb, on_both_engines};
use keystead_types::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

const HOUR: Duration = Duration::from_secs(60 * 60);

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

        app.clock.advance(MIN_ROTATION_INTERVAL);
        app.ctx.rotate_signing_keys(app.env(), &app.actor, Rotation::Orderly).await.unwrap();
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
        assert_eq!(app.audited(app.env()).await.iter().filter(|action| *action == "signing_key.rotated").count(), 1);

        for (wait, is_published) in [(HOUR * 24, true), (HOUR * 2, false)] {
            app.clock.advance(wait);
            upkeep::run(&app.ctx, &plan(), &|| false).await.unwrap().unwrap();
            let (restarted, _) = context(&test, ROOT_KEY, 2);
            let seen = restarted.signing_keys(app.env()).await.unwrap();
            assert_eq!(kids(&seen.jwks).contains(&before.active_kid().to_owned()), is_published);
        }
    }

    /// LG-007, part of MC-313: a client that read the key set after the last rotation must know the key.
    async fn keys_are_not_rotated_twice_in_a_week(test: TestDb) {
        let app = App::started(&test).await;
        let first = app.ctx.signing_keys(app.env()).await.unwrap();
        let rotate = async || app.ctx.rotate_signing_keys(app.env(), &app.actor, Rotation::Orderly).await;
        app.clock.advance(HOUR * (24 * 7 - 1));
        assert!(matches!(rotate().await, Err(RotationError::TooSoon(HOUR))));
        app.clock.advance(HOUR);
        rotate().await.unwrap();
        assert!(matches!(rotate().await, Err(RotationError::TooSoon(MIN_ROTATION_INTERVAL))));
        // The next key was lost and made anew: it is not known long enough.
        app.clock.advance(MIN_ROTATION_INTERVAL);
        test.run("DELETE FROM signing_keys WHERE status = 'next'").await.unwrap();
        let (restarted, clock) = context(&test, ROOT_KEY, 2);
        clock.advance(MIN_ROTATION_INTERVAL * 2);
        restarted.signing_keys(app.env()).await.unwrap();
        clock.advance(HOUR * 23);
        let early = restarted.rotate_signing_keys(app.env(), &app.actor, Rotation::Orderly).await;
        assert!(matches!(early, Err(RotationError::TooSoon(HOUR))), "{early:?}");
        clock.advance(HOUR);
        restarted.rotate_signing_keys(app.env(), &app.actor, Rotation::Orderly).await.unwrap();
        assert_ne!(restarted.signing_keys(app.env()).await.unwrap().active_kid(), first.active_kid());
    }

    /// Part of MC-313: after a leak nothing that the key signed is believed.
    async fn an_emergency_takes_the_keys_away_at_once(test: TestDb) {
        let app = App::started(&test).await;
        let before = app.ctx.signing_keys(app.env()).await.unwrap();
        let kid = app.ctx.rotate_signing_keys(app.env(), &app.actor, Rotation::Emergency).await.unwrap();
        let after = app.ctx.signing_keys(app.env()).await.unwrap();
        assert_eq!(after.active_kid(), kid.to_string());
        assert_eq!(kids(&after.jwks).len(), 2);
        assert!(!kids(&after.jwks).contains(&before.active_kid().to_owned()));
    }

    /// Part of MC-313: scheduled rotation, once for all nodes, only where keys are in use.
    async fn keys_rotate_on_schedule_and_once(test: TestDb) {
        let app = App::started(&test).await;
        let (unused, gone) = (app.another_environment("Unused").await, app.another_environment("Gone").await);
        let before = app.ctx.signing_keys(app.env()).await.unwrap();
        app.ctx.signing_keys(gone.id).await.unwrap();
        environments::delete(&app.ctx, app.created.workspace, gone.id, &app.actor).await.unwrap();
        app.clock.advance(HOUR * (24 * 90 - 1));
        assert_eq!(upkeep::run(&app.ctx, &plan(), &|| false).await.unwrap().unwrap().rotated, 0);
        app.clock.advance(HOUR);

        let mut tasks = JoinSet::new();
        for node in 0..4 {
            let (ctx, clock) = context(&test, ROOT_KEY, node);
            clock.advance(HOUR * 24 * 90);
            let env = app.env();
            tasks.spawn(async move { ctx.rotate_signing_keys(env, &Actor::system(), Rotation::Orderly).await });
        }
        let outcomes = tasks.join_all().await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        assert_eq!(upkeep::run(&app.ctx, &plan(), &|| false).await.unwrap().unwrap().rotated, 0);
        let infos = app.ctx.signing_key_infos(app.env()).await.unwrap();
        assert_eq!(infos.len(), 3);
        assert_eq!(infos[0].id.to_string(), before.active_kid());
        assert!(app.ctx.signing_key_infos(unused.id).await.unwrap().is_empty());

        app.clock.advance(HOUR * 24 * 90);
        assert_eq!(upkeep::run(&app.ctx, &plan(), &|| false).await.unwrap().unwrap().rotated, 1);
        let never = keystead_identity::upkeep::UpkeepPlan { rotation: None, ..plan() };
        app.clock.advance(HOUR * 24 * 90);
        assert_eq!(upkeep::run(&app.ctx, &never, &|| false).await.unwrap().unwrap().rotated, 0);
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
