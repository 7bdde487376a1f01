//! Deleting a connection that still has accounts.

use crate::{browser::TestBrowser, markup};

/// Part of AK-121: the page asks whether the accounts go too, and only then they do.
#[tokio::test]
async fn a_connection_is_deleted_with_its_accounts_when_asked() {
    let mut browser = TestBrowser::member();
    let (id, name) = {
        let accounts = browser.world.accounts.lock().unwrap();
        let connections = browser.world.connections.lock().unwrap();
        let found = connections.iter().find(|connection| {
            let mut owned = accounts.iter();
            owned.any(|account| account.connector == connection.key_id())
        });
        let found = found.unwrap();
        (found.id.clone(), found.key_id().to_owned())
    };
    let path = format!("/dashboard/env_1/connections/{id}/delete");
    let page = browser.get(&path).await;
    assert!(page.body.contains("with_accounts"), "{name}");
    let form = markup::forms(&page.body)
        .into_iter()
        .find(|form| form.action == path)
        .unwrap();
    assert!(
        form.fields
            .iter()
            .all(|(field, _)| field != "with_accounts"),
        "not ticked on its own"
    );
    let mut fields = form.fields;
    fields.push(("with_accounts".to_owned(), "on".to_owned()));
    let done = browser.post(&path, &fields).await;
    assert_eq!(
        done.location(),
        "/dashboard/env_1/connections?done=connection-deleting"
    );
    let connections = browser.world.connections.lock().unwrap();
    assert!(connections.iter().all(|connection| connection.id != id));
}
