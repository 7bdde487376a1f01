//! Members who are deleted while they are signed in.

use crate::fixture::World;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use keystead_identity::members::{self, NewMember, Role};
use keystead_testkit::{engines::TestDb, on_both_engines};
use serde_json::json;

on_both_engines! {
    /// Part of DB-040, part of DB-041, part of DB-043: access ends at once, and an administrator stays.
    async fn a_deleted_member_is_signed_out_at_once(test: TestDb) {
        let world = World::started(&test).await;
        let (name, cookie) = world.member().await.credential();
        let own = async |verb: &str, path: &str| {
            let request = Request::builder()
                .method(verb)
                .uri(path)
                .header(header::HOST, world.home.host())
                .header(&name, cookie.clone())
                .header("sec-fetch-site", "same-origin");
            world.answer(request.body(Full::default()).unwrap()).await
        };
        let this = "/api/v1/members:this";
        let (status, me) = own("GET", this).await;
        assert_eq!(status, StatusCode::OK, "{me}");
        let path = format!("/api/v1/members/{}", me["member"]["id"].as_str().unwrap());
        let (status, refused) = world.rest("DELETE", &path, &json!(null)).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "an API client has not the permission: {refused}");
        let (status, refused) = own("DELETE", &path).await;
        assert_eq!((status.as_u16(), &refused["details"][0]["error_code"]), (400, &json!("FAILED_PRECONDITION")), "{refused}");
        let (status, _) = own("DELETE", "/api/v1/members/mem_123456789012345").await;
        assert_eq!(status, StatusCode::NOT_FOUND);

        let grace = NewMember { email: "grace@acme.test".to_owned(), first_name: String::new(), last_name: String::new(), role: Role::Admin };
        members::add(&world.ctx, world.home.site.environment.workspace, grace).await.unwrap();
        let (status, json) = own("DELETE", &path).await;
        assert!(status.is_success(), "{json}");
        assert_eq!(own("GET", this).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(own("DELETE", &path).await.0, StatusCode::UNAUTHORIZED);
    }
}
