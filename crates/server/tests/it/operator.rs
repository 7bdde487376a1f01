//! Operators' tools on the data of a server.

use crate::{
    process::client,
    serve::{Site, address},
};
use keystead_store::DatabaseConfig;
use keystead_testkit::{engines::TestDb, on_both_engines};

/// An installation on the database of the test, started once.
fn site(test: &TestDb) -> Site {
    let url = match &test.config {
        DatabaseConfig::Sqlite { path, .. } => format!("sqlite:{}", path.display()),
        DatabaseConfig::Postgres { url, .. } => url.expose().clone(),
    };
    let site = Site::new(Some(&url), "");
    let mut server = site.start();
    server.ready();
    server.stop();
    site
}

fn succeeds(site: &Site, words: &[&str]) -> String {
    let (good, text) = site.run(words);
    assert!(good, "{words:?}: {text}");
    text
}

fn fails(site: &Site, words: &[&str], because: &str) {
    let (good, text) = site.run(words);
    assert!(!good && text.contains(because), "{words:?}: {text}");
}

/// The rest of the line that begins with `start`.
fn after<'a>(text: &'a str, start: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(start));
    line.unwrap_or_else(|| panic!("no {start:?} in {text}"))
}

on_both_engines! {
    /// Part of MC-313, decisions "The command line"
    async fn keys_are_listed_and_rotated(test: TestDb) {
        let site = site(&test);
        assert!(succeeds(&site, &["keys", "list"]).contains("no keys yet"));
        fails(&site, &["keys", "rotate"], "--emergency when a key has leaked");
        let listed = succeeds(&site, &["keys", "list"]);
        let first = listed.lines().find(|line| line.contains(" active ")).unwrap().trim();
        let (first, _) = first.split_once(' ').unwrap();
        let said = succeeds(&site, &["keys", "rotate", "--emergency"]);
        assert!(said.contains("every earlier token is void"), "{said}");
        let listed = succeeds(&site, &["keys", "list"]);
        assert!(listed.contains(" next ") && !listed.contains(first), "{listed}");
        fails(&site, &["keys", "rotate", "--environment", "env_1"], "there is no environment env_1");
        fails(&site, &["keys", "list", "--environment", "nowhere.test"], "there is no environment");
    }

    /// Part of LG-282, decisions "The command line"
    async fn secrets_of_clients_are_replaced(test: TestDb) {
        let site = site(&test);
        let said = succeeds(&site, &["client", "rotate"]);
        let (id, second) = (after(&said, "client "), after(&said, "secret ").to_owned());
        fails(&site, &["client", "rotate", id], "has two active secrets already");
        let listed = succeeds(&site, &["client", "list"]);
        assert!(listed.contains(id) && !listed.contains(&second), "{listed}");
        let said = succeeds(&site, &["client", "rotate", id, "--drop-older"]);
        let third = after(&said, "secret ");

        let mut server = site.start();
        let url = format!("http://{}/oauth/token", address(&mut server));
        for (secret, status) in [(second.as_str(), 401), (third, 200)] {
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", id),
                ("client_secret", secret),
            ];
            let sent = client(None).post(&url).header("host", "localhost").form(&form).send();
            assert_eq!(sent.await.unwrap().status(), status);
        }
        // Beside the running server.
        let said = succeeds(&site, &["client", "create", "--name", "Billing"]);
        assert!(succeeds(&site, &["client", "list"]).contains(after(&said, "client ")));
        server.stop();

        let public = succeeds(&site, &["client", "create", "--name", "App", "--type", "spa"]);
        assert!(!public.contains("secret"), "{public}");
        fails(&site, &["client", "create", "--name", " "], "1 to 128 characters");
        fails(&site, &["client", "rotate", "skc_12"], "has no client skc_12");
        fails(&site, &["client", "rotate", "billing"], "is not the id of a client");
    }

    /// Part of DB-040, decisions "The command line"
    async fn members_are_added_listed_and_deleted(test: TestDb) {
        let site = site(&test);
        assert!(succeeds(&site, &["user", "list"]).contains("admin     ada@example.com"));
        succeeds(&site, &["user", "add", "Bob@example.com", "--role", "developer"]);
        assert!(succeeds(&site, &["user", "list"]).contains("developer Bob@example.com - never signed in"));
        fails(&site, &["user", "add", "bob@example.com"], "is a member of the workspace already");
        fails(&site, &["user", "add", "bob"], "is not an e-mail address");
        fails(&site, &["user", "add", "eve@example.com", "--role", "owner"], "invalid value 'owner'");
        fails(&site, &["user", "delete", "ada@example.com"], "is the last administrator");
        fails(&site, &["user", "delete", "eve@example.com"], "is no member's address");
        assert!(succeeds(&site, &["user", "delete", "bob@EXAMPLE.com"]).contains("Bob@example.com is deleted"));
        assert!(!succeeds(&site, &["user", "list"]).contains("Bob@example.com"));
    }

    /// Whoever is kept out by strangers' tries is let in again.
    async fn a_member_is_unlocked(test: TestDb) {
        let site = site(&test);
        test.run("INSERT INTO sign_in_limits (email_key, kind, network, total, ends_at) VALUES ('ada@example.com', 'try', '', 31, 9000000000000000), ('bob@example.com', 'try', '', 31, 9000000000000000)").await.unwrap();
        assert!(succeeds(&site, &["user", "unlock", " Ada@example.com"]).contains("ada@example.com may ask for a new code"));
        fails(&site, &["user", "unlock", "bob@example.com"], "is no member's address");
        assert_eq!(test.run("DELETE FROM sign_in_limits").await.unwrap(), 1, "others keep their counts");
        assert_eq!(test.run("UPDATE audit_records SET actor = actor WHERE action = 'sign_in.unlocked' AND actor = 'operator'").await.unwrap(), 2);
    }

    /// Part of DR-333, decisions "The command line": a changed record is named.
    async fn a_changed_audit_trail_is_noticed(test: TestDb) {
        let site = site(&test);
        succeeds(&site, &["client", "rotate"]);
        let said = succeeds(&site, &["audit", "verify"]);
        assert!(said.contains(" records, anchor ") && !said.contains("broken"), "{said}");
        let changed = "UPDATE audit_records SET actor = 'somebody else' WHERE action = 'client_secret.created' AND actor = 'operator'";
        assert_eq!(test.run(changed).await.unwrap(), 1);
        fails(&site, &["audit", "verify"], " was changed");
        assert_eq!(test.run("DELETE FROM audit_records WHERE actor = 'somebody else'").await.unwrap(), 1);
        fails(&site, &["audit", "verify"], "broken");
    }

    async fn an_empty_database_and_another_root_key_are_refused(test: TestDb) {
        let started = site(&test);
        std::fs::write(started.folder.path().join("root.key"), "cd".repeat(31) + "ab").unwrap();
        for words in [&["keys", "list"][..], &["client", "rotate"], &["user", "list"], &["audit", "verify"]] {
            fails(&started, words, "root key is not the one");
        }
        let file = started.folder.path().join("empty.db");
        let empty = Site::new(Some(&format!("sqlite:{}", file.display())), "");
        succeeds(&empty, &["migrate"]);
        fails(&empty, &["user", "list"], "the database is empty");
    }
}
