//! The switch for direct calls of built-in connectors.

use crate::{browser::TestBrowser, markup};

/// Part of AK-455: on until a member switches it off, and on again.
#[tokio::test]
async fn direct_calls_are_switched_on_the_dashboard() {
    let mut browser = TestBrowser::member();
    for wanted in [false, true] {
        let page = browser.get("/dashboard/env_1/verification").await;
        let form = markup::forms(&page.body)
            .into_iter()
            .find(|form| form.action.ends_with("/verification/calls"))
            .unwrap();
        let field = |name: &str| form.fields.iter().any(|(known, _)| known == name);
        assert_eq!(field("builtin_direct_calls"), !wanted, "{:?}", form.fields);
        let mut sent = form.fields.clone();
        sent.retain(|(name, _)| name == "csrf");
        if wanted {
            sent.push(("builtin_direct_calls".to_owned(), "on".to_owned()));
        }
        let saved = browser.post(&form.action, &sent).await;
        assert_eq!(saved.location(), "/dashboard/env_1/verification?done=saved");
        let stored = browser.world.calls.lock().unwrap().unwrap();
        assert_eq!(stored.builtin_direct_calls, wanted);
    }
}
