//! `keystead plan` and `keystead apply`.

use crate::serve::Site;
use keystead_store::DatabaseConfig;
use keystead_testkit::{engines::TestDb, on_both_engines};
use std::{fs, os::unix::fs::PermissionsExt, process::Command};

const FILE: &str = r#"
[[connectors]]
name = "Desk"
proxy_url = "https://desk.example.com/api"
auth_patterns = [{ type = "BEARER", display_name = "Token", fields = [{ field_name = "token" }] }]

[[connections]]
name = "desk"
connector = "Desk"

[[connections]]
name = "mail"
connector = "GMAIL"
client_id = "id-1"
client_secret = { file = "SECRET" }
scopes = ["openid"]
"#;

fn site(test: &TestDb) -> Site {
    let url = match &test.config {
        DatabaseConfig::Sqlite { path, .. } => format!("sqlite:{}", path.display()),
        DatabaseConfig::Postgres { url, .. } => url.expose().clone(),
    };
    Site::new(Some(&url), "")
}

on_both_engines! {
    /// Part of AK-122: from a file, by hand and at every start, with secrets by reference.
    async fn a_file_is_planned_and_applied(test: TestDb) {
        let site = site(&test);
        let folder = tempfile::tempdir().unwrap();
        let (file, secret) = (folder.path().join("connections.toml"), folder.path().join("secret"));
        fs::write(&secret, "s3cr3t-value\n").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, FILE.replace("SECRET", secret.to_str().unwrap())).unwrap();
        let path = file.to_str().unwrap();
        let (good, text) = site.run(&["plan", path]);
        assert!(!good && text.contains("the database is empty"), "{text}");

        // At start.
        let config = fs::read_to_string(&site.config).unwrap();
        fs::write(&site.config, format!("{config}\n[agentkit]\napply = \"{path}\"\n")).unwrap();
        let mut server = site.start();
        server.ready();
        server.stop();
        let (good, text) = site.run(&["plan", path]);
        assert!(good && text.contains("nothing to change"), "{text}");

        // By hand.
        let changed = fs::read_to_string(&file).unwrap().replace("[\"openid\"]", "[\"openid\", \"email\"]");
        fs::write(&file, &changed).unwrap();
        fs::write(&secret, "another-s3cr3t").unwrap();
        let (good, text) = site.run(&["plan", path]);
        assert!(good && text.contains("~ connection mail") && text.contains("scopes: [\"openid\"] → [\"openid\",\"email\"]"), "{text}");
        assert!(text.contains("client_secret: changed") && !text.contains("s3cr3t"), "{text}");
        let (good, text) = site.run(&["apply", path]);
        assert!(good && text.contains("1 change made"), "{text}");
        let (good, text) = site.run(&["apply", path]);
        assert!(good && text.contains("nothing to change"), "{text}");

        fs::write(&file, "").unwrap();
        let (good, text) = site.run(&["apply", path]);
        assert!(good && text.contains("connection mail is not declared and stays"), "{text}");
        let (good, text) = site.run(&["apply", path, "--delete"]);
        assert!(good && text.contains("- connector Desk") && text.contains("3 changes made"), "{text}");
    }

    /// Part of AK-122: mistakes are named, secrets are not, and a start with one fails.
    async fn a_wrong_file_is_refused(test: TestDb) {
        let site = site(&test);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("connections.toml");
        let path = file.to_str().unwrap();
        for (text, part) in [
            (FILE.replace("client_id", "clientid"), "clientid"),
            (FILE.replace("{ file = \"SECRET\" }", "\"hunter2\""), "client_secret"),
            (FILE.replace("file = \"SECRET\"", "file = \"SECRET\", environment = \"X\""), "either file or environment"),
            (FILE.to_owned(), "a secret of the connection mail"),
        ] {
            fs::write(&file, text).unwrap();
            let (good, said) = site.run(&["plan", path]);
            assert!(!good && said.contains(part) && !said.contains("hunter2"), "{said}");
        }
        let nul = FILE.replace("name = \"Desk\"", "name = \"De\\u0000sk\"");
        fs::write(&file, nul).unwrap();
        for command in ["plan", "apply"] {
            let (good, said) = site.run(&[command, path]);
            assert!(!good && said.contains("connectors.1.name has a text with the character U+0000"), "{said}");
        }
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for (place, what) in [
            (folder.path().to_str().unwrap(), "is a folder and not a file"),
            ("/dev/null", "is a device and not a file"),
            (pipe.to_str().unwrap(), "is a pipe and not a file"),
            ("/nowhere/x.toml", "does not exist"),
        ] {
            for command in ["plan", "apply"] {
                let (good, said) = site.run(&[command, place]);
                assert!(!good && said.contains(&format!("{place} {what}")), "{said}");
            }
        }
        fs::write(&file, FILE).unwrap();
        let config = fs::read_to_string(&site.config).unwrap();
        fs::write(&site.config, format!("{config}\n[agentkit]\napply = \"{path}\"\n")).unwrap();
        let (good, text) = site.run(&["serve"]);
        assert!(!good && text.contains("a secret of the connection mail"), "{text}");
        fs::write(&file, "connections = 1").unwrap();
        let (good, text) = site.run(&["config", "check"]);
        assert!(!good && text.contains("agentkit.apply"), "{text}");
    }
}
