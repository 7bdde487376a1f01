use crate::fixture::App;
use keystead_identity::{Actor, MIN_ROTATION_INTERVAL, Rotation};
use keystead_testkit::{engines::TestDb, on_both_engines};

on_both_engines! {
    /// MC-310, MC-314
    async fn the_key_set_has_a_validator_that_changes_with_it(test: TestDb) {
        let app = App::started(&test).await;
        let first = app.authorizer.jwks(app.env()).await.unwrap();
        assert_eq!(first, app.authorizer.jwks(app.env()).await.unwrap());
        assert!(first.etag.starts_with('"') && first.etag.ends_with('"'));
        app.clock.advance(MIN_ROTATION_INTERVAL);
        app.ctx.rotate_signing_keys(app.env(), &Actor::system(), Rotation::Orderly).await.unwrap();
        assert_ne!(first.etag, app.authorizer.jwks(app.env()).await.unwrap().etag);
    }
}
