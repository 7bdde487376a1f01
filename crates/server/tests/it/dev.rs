use crate::process::{Running, client, dev, env_file, output, said, token};
use keystead_store::{DatabaseConfig, Engine};
use keystead_testkit::engines::{TestDb, run_on};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// Decisions, "The command line": `dev.env` is all a client needs, and starting again keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_keeps_everything_and_fresh_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Running::start(&mut dev(&data, &[]));
    let (url, _) = server.ready();
    let first = env_file(&data);
    assert_eq!(first["SCALEKIT_ENVIRONMENT_URL"], url);
    assert_eq!(first["SCALEKIT_ENV_URL"], url);
    let bundle = fs::read_to_string(&first["SSL_CERT_FILE"]).unwrap();
    let authority = fs::read_to_string(&first["NODE_EXTRA_CA_CERTS"]).unwrap();
    assert!(bundle.contains(&authority));
    for name in ["REQUESTS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] {
        assert_eq!(first[name], first["SSL_CERT_FILE"], "{name}");
    }
    assert_works(&data, &url).await;
    server.stop();

    let mut server = Running::start(&mut dev(&data, &[]));
    let (url, _) = server.ready();
    let second = env_file(&data);
    assert_eq!(second["SCALEKIT_CLIENT_ID"], first["SCALEKIT_CLIENT_ID"]);
    assert_eq!(
        second["SCALEKIT_CLIENT_SECRET"],
        first["SCALEKIT_CLIENT_SECRET"]
    );
    assert_works(&data, &url).await;
    server.stop();

    let mut server = Running::start(&mut dev(&data, &["--fresh"]));
    let (url, _) = server.ready();
    assert_ne!(
        env_file(&data)["SCALEKIT_CLIENT_ID"],
        first["SCALEKIT_CLIENT_ID"]
    );
    assert_works(&data, &url).await;
    server.stop();
}

/// A token of the client in `dev.env` works over both addresses of `localhost`.
async fn assert_works(data: &Path, url: &str) {
    let client = client(Some(&data.join("tls/ca.pem")));
    let (status, bearer) = token(&client, url, &env_file(data)).await;
    assert_eq!(status, 200);
    for host in ["127.0.0.1", "[::1]"] {
        let url = url.replace("localhost", host);
        let list = client
            .get(format!("{url}/api/v1/organizations"))
            .bearer_auth(&bearer);
        assert_eq!(list.send().await.unwrap().status(), 200, "{host}");
    }
    let page = client
        .get(format!("{url}/dashboard/sign-in"))
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), 200);
    let mailbox = client
        .get(format!("{url}/sandbox/mailbox"))
        .send()
        .await
        .unwrap();
    assert_eq!(mailbox.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_env_file_is_replaced_with_a_new_secret_as_often_as_needed() {
    let folder = tempfile::tempdir().unwrap();
    Running::start(&mut dev(folder.path(), &[])).ready();
    let mut known = env_file(folder.path());
    // A client has at most two secrets, so the third round has to make room.
    for _ in 0..3 {
        fs::remove_file(folder.path().join("dev.env")).unwrap();
        let mut server = Running::start(&mut dev(folder.path(), &[]));
        let (url, _) = server.ready();
        let new = env_file(folder.path());
        assert_eq!(new["SCALEKIT_CLIENT_ID"], known["SCALEKIT_CLIENT_ID"]);
        assert_ne!(
            new["SCALEKIT_CLIENT_SECRET"],
            known["SCALEKIT_CLIENT_SECRET"]
        );
        assert_works(folder.path(), &url).await;
        server.stop();
        known = new;
    }
}

#[test]
fn another_or_a_missing_root_key_is_refused_and_the_reason_said() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    for data in [folder.path(), other.path()] {
        Running::start(&mut dev(data, &[])).ready();
    }
    let key = folder.path().join("root.key");
    let right = fs::read(&key).unwrap();
    fs::copy(other.path().join("root.key"), &key).unwrap();
    let (status, text) = Running::start(&mut dev(folder.path(), &[])).end();
    assert!(!status.success());
    assert!(
        text.contains("the root key does not fit the data"),
        "{text}"
    );
    assert!(!text.contains("ready"), "{text}");

    fs::remove_file(&key).unwrap();
    let (status, text) = Running::start(&mut dev(folder.path(), &[])).end();
    assert!(!status.success());
    assert!(text.contains("root.key is missing"), "{text}");
    assert!(
        !key.exists(),
        "no key may be made for data that it cannot read"
    );

    fs::write(&key, right).unwrap();
    let mut server = Running::start(&mut dev(folder.path(), &[]));
    server.ready();
    server.stop();
}

#[test]
fn a_folder_has_one_server_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Running::start(&mut dev(folder.path(), &[]));
    server.ready();
    for more in [&[][..], &["--fresh"]] {
        let (status, text) = Running::start(&mut dev(folder.path(), more)).end();
        assert!(!status.success());
        assert!(text.contains("another keystead process"), "{text}");
    }
    server.stop();
}

/// Nothing secret reaches the log, however much is logged; the files are private.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_out_of_the_log_and_files_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Running::start(dev(folder.path(), &[]).env("KEYSTEAD_LOG", "trace"));
    let (url, _) = server.ready();
    let client = client(Some(&folder.path().join("tls/ca.pem")));
    let env = env_file(folder.path());
    let (_, bearer) = token(&client, &url, &env).await;
    let list = client
        .get(format!("{url}/api/v1/organizations"))
        .bearer_auth(&bearer);
    assert_eq!(list.send().await.unwrap().status(), 200);
    let text = server.stop();
    assert!(text.contains("TRACE"), "the log was not turned up");
    let root_key = fs::read_to_string(folder.path().join("root.key")).unwrap();
    let tls_key = fs::read_to_string(folder.path().join("tls/localhost.key")).unwrap();
    let tls_line = tls_key.lines().nth(1).unwrap().to_owned();
    for secret in [
        &env["SCALEKIT_CLIENT_SECRET"],
        &bearer,
        root_key.trim(),
        &tls_line,
    ] {
        assert!(!text.contains(secret), "a secret is in the log");
    }
    for name in ["root.key", "dev.env", "keystead.db", "tls/localhost.key"] {
        let mode = fs::metadata(folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name} can be read by others");
    }
}

#[test]
fn postgres_keeps_everything_too() {
    run_on(Engine::Postgres, async |test: TestDb| {
        let DatabaseConfig::Postgres { url, .. } = &test.config else {
            panic!("not PostgreSQL")
        };
        let folder = tempfile::tempdir().unwrap();
        let mut known = None;
        for _ in 0..2 {
            let mut command = dev(folder.path(), &[]);
            let mut server = Running::start(command.env("KEYSTEAD_DATABASE_URL", url.expose()));
            let (url, admin) = server.ready();
            let probe = client(None).get(format!("{admin}/readyz")).send();
            assert_eq!(probe.await.unwrap().status(), 200);
            assert_works(folder.path(), &url).await;
            server.stop();
            let id = env_file(folder.path())["SCALEKIT_CLIENT_ID"].clone();
            assert_eq!(*known.get_or_insert(id.clone()), id);
        }
    });
}

#[test]
fn fresh_does_not_pretend_to_empty_a_server_database() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let refused = output(&[
        "dev",
        "--data",
        data,
        "--fresh",
        "--database",
        "postgres://localhost/x",
    ]);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("not a PostgreSQL database"));
}
