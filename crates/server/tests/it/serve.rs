use crate::process::{Running, client, command, output, said};
use keystead_store::{DatabaseConfig, Engine};
use keystead_testkit::engines::{TestDb, run_on};
use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// An installation on a folder, behind a configuration file.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) config: PathBuf,
}

impl Site {
    pub(crate) fn new(database: Option<&str>, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let database =
            database.map_or_else(|| format!("sqlite:{}", at("keystead.db")), str::to_owned);
        let text = format!(
            "[server]\npublic_url = \"http://localhost\"\nlisten = \"127.0.0.1:0\"\n\
             admin_listen = \"127.0.0.1:0\"\n{more}\n\
             [database]\nurl = \"{database}\"\n\
             [root_key]\nfile = \"{}\"\n\
             [mail]\nfolder = \"{}\"\n\
             [seed]\nadmin_email = \"ada@example.com\"\n",
            at("root.key"),
            at("mail"),
        );
        let config = folder.path().join("keystead.toml");
        for (path, text) in [
            (config.clone(), text),
            (folder.path().join("root.key"), "ab".repeat(31) + "cd"),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
        Self { folder, config }
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = command(words);
        command.arg("--config").arg(&self.config);
        command
    }

    pub(crate) fn start(&self) -> Running {
        Running::start(&mut self.command(&["serve"]))
    }

    /// Runs a command to its end; gives whether it succeeded and what it said.
    pub(crate) fn run(&self, words: &[&str]) -> (bool, String) {
        let output = self.command(words).output().unwrap();
        (output.status.success(), said(&output))
    }
}

/// Address of the main listener, from the log line of the start. The log and `ready` come through
/// different pipes, so either may be read first.
pub(crate) fn address(server: &mut Running) -> String {
    let part = "\"starting\"";
    let seen = server.seen.iter().find(|line| line.contains(part)).cloned();
    let starting = seen.unwrap_or_else(|| server.wait_for(part));
    let line: serde_json::Value = serde_json::from_str(&starting).unwrap();
    line["listen"].as_str().unwrap().to_owned()
}

async fn status(url: &str) -> u16 {
    client(None)
        .get(url)
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

/// Part of DB-208, part of DB-209
#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_on_the_admin_listener_only() {
    let site = Site::new(None, "");
    let mut server = site.start();
    let (_, admin) = server.ready();
    let address = address(&mut server);
    for path in ["livez", "healthz", "readyz"] {
        assert_eq!(status(&format!("{admin}/{path}")).await, 200, "{path}");
        assert_eq!(
            status(&format!("http://{address}/{path}")).await,
            404,
            "{path}"
        );
    }
    let keys = client(None).get(format!("http://{address}/keys"));
    assert_eq!(
        keys.header("host", "localhost")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let call = client(None).get(format!("http://{address}/api/v1/organizations"));
    assert_eq!(
        call.header("host", "localhost")
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
    let metrics = client(None)
        .get(format!("{admin}/metrics"))
        .send()
        .await
        .unwrap();
    let text = metrics.text().await.unwrap();
    for name in [
        "keystead_build_info{version=",
        "keystead_store_commits_total ",
        "process_resident_memory_bytes ",
        r#"keystead_gateway_calls_total{method="OrganizationService/ListOrganization",code="Unauthenticated"} 1"#,
    ] {
        assert!(text.contains(name), "{name} is not in {text}");
    }
    assert!(text.ends_with("# EOF\n"));
    server.stop();
}

/// Part of DB-208, part of DB-205: a request that has begun is answered, new ones are refused, and probes know.
#[test]
fn a_running_request_is_finished_before_the_end() {
    let site = Site::new(None, "drain_seconds = 50");
    let mut server = site.start();
    let (_, admin) = server.ready();
    let admin = admin.replace("http://", "");
    let address = address(&mut server);

    let body = "grant_type=client_credentials&client_id=skc_1&client_secret=x";
    let mut request = TcpStream::connect(&address).unwrap();
    write!(
        request,
        "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n",
        body.len()
    )
    .unwrap();
    let mut said = [0; 25];
    // The server asks for the body once the request is being handled.
    request.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");

    server.signal("TERM");
    server.wait_for("\"stopping\"");
    let probe = get(&admin, "/readyz");
    assert!(
        probe.starts_with("HTTP/1.1 503") && probe.contains("\"draining\":true"),
        "{probe}"
    );
    assert!(get(&admin, "/livez").starts_with("HTTP/1.1 200"));

    request.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    request.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 401") && answer.contains("invalid_client"),
        "{answer}"
    );
    let (status, text) = server.end();
    assert!(status.success(), "{text}");
    assert!(text.contains("\"stopped\""), "{text}");
    assert!(TcpStream::connect(&address).is_err());
}

/// A second signal does not wait.
#[test]
fn a_second_signal_ends_at_once() {
    let site = Site::new(None, "drain_seconds = 600");
    let mut server = site.start();
    server.ready();
    let mut request = TcpStream::connect(address(&mut server)).unwrap();
    request
        .write_all(b"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        .unwrap();
    request.read_exact(&mut [0; 25]).unwrap();
    server.signal("INT");
    server.wait_for("\"stopping\"");
    server.signal("INT");
    let (status, text) = server.end();
    assert!(status.success(), "{text}");
    assert!(text.contains("stopping at once"), "{text}");
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn an_empty_database_needs_a_first_member_and_other_data_its_own_root_key() {
    let site = Site::new(None, "");
    let config = fs::read_to_string(&site.config).unwrap();
    fs::write(&site.config, config.replace("admin_email", "# admin_email")).unwrap();
    let (good, text) = site.run(&["serve"]);
    assert!(!good && text.contains("seed.admin_email"), "{text}");

    fs::write(&site.config, &config).unwrap();
    let mut server = site.start();
    server.ready();
    server.stop();
    let (good, text) = site.run(&["doctor"]);
    assert!(
        good && text.contains("ok       data: the root key fits"),
        "{text}"
    );

    fs::write(site.folder.path().join("root.key"), "cd".repeat(31) + "ab").unwrap();
    let (good, text) = site.run(&["serve"]);
    assert!(
        !good && text.contains("the root key does not fit the data"),
        "{text}"
    );
    let (good, text) = site.run(&["doctor"]);
    assert!(
        !good && text.contains("broken   data: the data was written under another root key"),
        "{text}"
    );

    fs::write(site.folder.path().join("root.key"), "short").unwrap();
    let (good, text) = site.run(&["serve"]);
    assert!(
        !good && text.contains("root.key is not usable") && !text.contains("short"),
        "{text}"
    );
}

/// Where it tried to connect and what came of it, without the password.
#[test]
fn doctor_names_the_database_that_it_cannot_reach() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = free.local_addr().unwrap().to_string();
    drop(free);
    let site = Site::new(Some(&format!("postgres://keystead:hunter2@{place}/x")), "");
    let (good, text) = site.run(&["doctor"]);
    let told = format!("could not connect to {place}: Connection refused");
    assert!(!good && text.contains(&told), "{text}");
    assert!(
        !text.contains("hunter2") && !text.contains("busy"),
        "{text}"
    );
}

#[test]
fn the_root_key_can_come_from_the_environment_or_a_systemd_credential() {
    let site = Site::new(None, "");
    let config = fs::read_to_string(&site.config).unwrap();
    let key = fs::read_to_string(site.folder.path().join("root.key")).unwrap();
    let file = format!(
        "file = \"{}\"",
        site.folder.path().join("root.key").display()
    );
    let mut server = site.start();
    server.ready();
    server.stop();

    fs::write(
        &site.config,
        config.replace(&file, "environment = \"KEYSTEAD_ROOT_KEY\""),
    )
    .unwrap();
    let mut server = Running::start(site.command(&["serve"]).env("KEYSTEAD_ROOT_KEY", &key));
    server.ready();
    server.stop();
    let (good, text) = site.run(&["serve"]);
    assert!(!good && text.contains("KEYSTEAD_ROOT_KEY"), "{text}");

    fs::write(
        &site.config,
        config.replace(&file, "systemd_credential = \"root.key\""),
    )
    .unwrap();
    let mut command = site.command(&["serve"]);
    let mut server = Running::start(command.env("CREDENTIALS_DIRECTORY", site.folder.path()));
    server.ready();
    server.stop();
}

#[test]
fn migrating_says_what_it_did() {
    let site = Site::new(None, "");
    let (good, text) = site.run(&["migrate"]);
    assert!(good && text.contains("schema version 0 -> "), "{text}");
    let (good, text) = site.run(&["migrate"]);
    assert!(good && text.contains("nothing to do"), "{text}");
}

/// Part of DB-204: files, and a new certificate without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_taken_while_running() {
    let site = Site::new(None, "");
    let folder = site.folder.path();
    issue(folder, "old");
    issue(folder, "new");
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    let install = |name: &str| {
        fs::copy(folder.join(format!("{name}.pem")), &chain).unwrap();
        fs::copy(folder.join(format!("{name}.key")), &key).unwrap();
    };
    install("old");
    let config = fs::read_to_string(&site.config).unwrap();
    let files = format!(
        "tls_certificate = \"{}\"\ntls_key = \"{}\"\n[database]",
        chain.display(),
        key.display()
    );
    fs::write(&site.config, config.replace("[database]", &files)).unwrap();
    let mut server = site.start();
    server.ready();
    let url = format!("https://{}/keys", address(&mut server)).replace("127.0.0.1", "localhost");
    let get = async |authority: &str| {
        let client = client(Some(&folder.join(authority)));
        client
            .get(&url)
            .send()
            .await
            .map(|response| response.status().as_u16())
    };
    assert_eq!(get("old.pem").await.unwrap(), 200);
    assert!(get("new.pem").await.is_err());

    install("new");
    server.signal("HUP");
    server.wait_for("certificate reloaded");
    assert_eq!(get("new.pem").await.unwrap(), 200);
    assert!(get("old.pem").await.is_err());
    server.stop();
    let (good, text) = site.run(&["doctor"]);
    assert!(
        good && text.contains("ok       certificate: valid for"),
        "{text}"
    );
}

/// A self-signed certificate for localhost.
fn issue(folder: &Path, name: &str) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join(format!("{name}.pem")), made.cert.pem()).unwrap();
    fs::write(
        folder.join(format!("{name}.key")),
        made.signing_key.serialize_pem(),
    )
    .unwrap();
}

/// Part of DB-205: nodes that share a database have numbers of their own and answer for one another.
#[test]
fn two_nodes_share_a_postgres_database() {
    run_on(Engine::Postgres, async |test: TestDb| {
        let DatabaseConfig::Postgres { url, .. } = &test.config else {
            panic!("not PostgreSQL")
        };
        let site = Site::new(Some(url.expose()), "");
        let (mut one, mut two) = (site.start(), site.start());
        let mut documents = Vec::new();
        for server in [&mut one, &mut two] {
            let (_, admin) = server.ready();
            assert_eq!(status(&format!("{admin}/readyz")).await, 200);
            let keys = format!("http://{}/keys", address(server));
            let sent = client(None).get(keys).header("host", "localhost").send();
            documents.push(sent.await.unwrap().text().await.unwrap());
        }
        assert_eq!(
            documents[0], documents[1],
            "the nodes publish different keys"
        );
        one.stop();
        two.stop();
    });
}

#[test]
fn a_running_sqlite_server_is_not_joined_by_a_second() {
    let site = Site::new(None, "");
    let mut server = site.start();
    server.ready();
    for words in [&["serve"][..], &["migrate"]] {
        let (good, text) = site.run(words);
        assert!(!good && text.contains("another keystead process"), "{text}");
    }
    server.stop();
    assert!(output(&["--version"]).status.success());
}
