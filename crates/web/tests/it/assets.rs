//! The files pages load, and answers that belong to no page.

use crate::{
    browser::TestBrowser,
    markup::{attribute, tags},
};
use http::{Method, StatusCode};

#[tokio::test]
async fn assets_are_kept_for_ever_under_an_address_that_names_their_content() {
    let mut browser = TestBrowser::new();
    let page = browser.get("/connect/success").await;
    let links = tags(&page.body, "link");
    assert_eq!(links.len(), 2);
    for link in links {
        let path = attribute(link, "href").unwrap();
        let asset = browser.get(&path).await;
        assert_eq!(asset.status, StatusCode::OK);
        assert_eq!(
            asset.headers["cache-control"],
            "public, max-age=31536000, immutable"
        );
        if let Some(folder) = std::env::var_os("KEYSTEAD_PAGES") {
            let file = std::path::PathBuf::from(folder).join(&path[1..]);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, &asset.body).unwrap();
        }
    }
    assert_eq!(
        browser
            .get("/assets/keystead-0000000000000000.css")
            .await
            .status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn unknown_addresses_and_methods_get_a_page_too() {
    let mut browser = TestBrowser::new();
    assert_eq!(
        browser.get("/nothing").await.keep("not-found").status,
        StatusCode::NOT_FOUND
    );
    let answer = browser
        .send(Method::DELETE, "/connect/success", &[], None)
        .await;
    assert!(answer.status.is_client_error());
}
