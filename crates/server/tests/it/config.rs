use crate::process::{command, output, said};
use std::fs;

const GOOD: &str = r#"
[server]
public_url = "https://auth.example.com"
[database]
url = "postgres://keystead:hunter2@db.example.com/keystead"
[root_key]
environment = "THE_KEY"
[mail]
smtp_url = "smtps://robot:hunter2@mail.example.com"
from = "Acme <no-reply@example.com>"
"#;

/// Checks a configuration with environment variables on top.
fn check(text: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keystead.toml");
    fs::write(&path, text).unwrap();
    let mut check = command(&["config", "check", "--config"]);
    check.arg(&path).envs(variables.iter().copied());
    let output = check.output().unwrap();
    (output.status.success(), said(&output))
}

#[test]
fn a_good_configuration_is_shown_without_its_secrets() {
    let (good, text) = check(GOOD, &[("KEYSTEAD_SERVER__DRAIN_SECONDS", "7")]);
    assert!(good, "{text}");
    assert!(text.contains("drain_seconds = 7"), "{text}");
    assert!(
        text.contains("db.example.com") && text.contains("mail.example.com"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
    // What is printed is a file like the one that was read.
    let printed = text.split("connection to").next().unwrap();
    let again = printed.replace("postgres://…@", "postgres://");
    let (good, text) = check(&again.replace("smtps://…@", "smtps://"), &[]);
    assert!(good, "{text}");
}

/// SECURITY: `postgres://` takes a password in its query too.
#[test]
fn a_password_in_the_query_of_a_url_is_not_shown() {
    let text = GOOD.replace(
        "keystead:hunter2@db.example.com/keystead",
        "db.example.com/keystead?password=hunter2&sslmode=verify-full",
    );
    let (good, text) = check(&text, &[]);
    assert!(good && text.contains("sslmode=verify-full"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

/// A mistake is told with the name from the file, file and line or variable, in words.
#[test]
fn mistakes_are_told_with_their_place() {
    for (from, to, told) in [
        (
            "[database]",
            "[databse]",
            "keystead.toml:4: databse does not exist; there are server, database, ",
        ),
        (
            "public_url =",
            "publicurl =",
            "keystead.toml:3: server.publicurl does not exist; there are public_url, ",
        ),
        (
            "public_url =",
            "# ",
            "keystead.toml:2: server.public_url is missing",
        ),
        (
            "[database]",
            "drain_seconds = \"long\"\n[database]",
            "keystead.toml:4: server.drain_seconds must be a whole number from 0, not this text",
        ),
        (
            "[database]",
            "drain_seconds = -1\n[database]",
            "keystead.toml:4: server.drain_seconds must be a whole number from 0, not this number",
        ),
        (
            "[database]",
            "listen = \"nowhere\"\n[database]",
            "keystead.toml:4: server.listen cannot be used: invalid socket address syntax",
        ),
        (
            "from =",
            "folder = 1\nfrom =",
            "keystead.toml:10: mail.folder must be a path in quotes, not this number",
        ),
        (
            "https://auth",
            "auth",
            "keystead.toml:3: server.public_url must be an origin",
        ),
        (
            "smtps:",
            "smpts:",
            "keystead.toml:9: mail.smtp_url must look like",
        ),
        (
            "hunter2@db.example.com/keystead\"",
            "hunter2@db.example.com/keystead",
            "keystead.toml:5: this is not TOML: invalid basic string",
        ),
        ("[mail]", "[server]", "keystead.toml:8: this is not TOML: "),
    ] {
        let (good, said) = check(&GOOD.replacen(from, to, 1), &[]);
        assert!(!good && said.contains(told), "{told} is not in: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        // Nothing of Rust: no types, no structs, no variants.
        for word in ["u64", "struct", "default.", "Some("] {
            assert!(!said.contains(word), "{word} in: {said}");
        }
    }
    let (good, said) = check(GOOD, &[("KEYSTEAD_SERVER__DRAIN_SECONDS", "long")]);
    let told = "environment variable KEYSTEAD_SERVER__DRAIN_SECONDS: server.drain_seconds must be";
    assert!(!good && said.contains(told), "{said}");
}

/// SECURITY: tokens and sessions never cross a network over http.
#[test]
fn http_is_for_this_machine_only() {
    for (host, good) in [
        ("localhost:8080", true),
        ("app.localhost", true),
        ("127.0.0.1:1", true),
        ("[::1]:8080", true),
        ("auth.example.com", false),
        ("10.0.0.1", false),
        ("0.0.0.0", false),
        ("localhost.example.com", false),
    ] {
        let text = GOOD.replace("https://auth.example.com", &format!("http://{host}"));
        let (accepted, said) = check(&text, &[]);
        assert_eq!(accepted, good, "{host}: {said}");
        assert!(
            good || said.contains("server.public_url must begin with https://"),
            "{said}"
        );
    }
}

#[test]
fn what_opens_the_server_is_refused_or_warned_of() {
    for (line, good, told) in [
        (
            "trusted_proxies = [\"0.0.0.0/0\"]",
            false,
            "server.trusted_proxies must not name all addresses",
        ),
        (
            "trusted_proxies = [\"::/0\"]",
            false,
            "server.trusted_proxies must not name all addresses",
        ),
        (
            "listen = \"127.0.0.1:9443\"",
            false,
            "server.admin_listen must differ from server.listen",
        ),
        (
            "admin_listen = \"0.0.0.0:9443\"",
            true,
            "warning: server.admin_listen is on all addresses",
        ),
        (
            "admin_listen = \"[::]:9443\"",
            true,
            "warning: server.admin_listen is on all addresses",
        ),
        (
            "listen = \"0.0.0.0:8443\"",
            true,
            "warning: server.listen is on all addresses without TLS",
        ),
        (
            "[outbound]\nallowed_networks = [\"0.0.0.0/0\"]",
            true,
            "warning: outbound.allowed_networks names all addresses",
        ),
        (
            "[seed]\nadmin_email = \"ada\"",
            false,
            "seed.admin_email must be an e-mail address",
        ),
    ] {
        let (accepted, said) = check(
            &GOOD.replace("[database]", &format!("{line}\n[database]")),
            &[],
        );
        assert_eq!(accepted, good, "{line}: {said}");
        assert!(said.contains(told), "{line}: {said}");
    }
    let text = GOOD.replace("smtps:", "smtp+plain:");
    let (good, said) = check(&text, &[]);
    assert!(
        good && said.contains("warning: mail.smtp_url sends sign-in codes unencrypted"),
        "{said}"
    );
    let (_, said) = check(&text.replace("mail.example.com", "localhost"), &[]);
    assert!(!said.contains("warning: mail"), "{said}");
}

/// Part of DB-205: a weak connection to PostgreSQL does not go unnoticed.
#[test]
fn it_is_said_how_the_connection_to_postgres_is_protected() {
    for (url, words) in [
        ("db.example.com/keystead", "the server proves its name"),
        ("127.0.0.1/keystead", "on this machine"),
        (
            "db.example.com/keystead?sslmode=require",
            "pose as the server",
        ),
        (
            "db.example.com/keystead?sslmode=disable",
            "perhaps not encrypted",
        ),
    ] {
        let text = GOOD.replace("db.example.com/keystead", url);
        let (good, text) = check(&text, &[]);
        assert!(good && text.contains(words), "{url}: {text}");
    }
    let text = GOOD.replace(
        "example.com/keystead",
        "example.com/keystead?sslmode=nonsense",
    );
    let (good, text) = check(&text, &[]);
    assert!(!good && !text.contains("hunter2"), "{text}");
}

#[test]
fn mistakes_are_named() {
    for (text, variables, part) in [
        (
            GOOD.replace("public_url", "publicurl"),
            &[][..],
            "publicurl",
        ),
        (
            GOOD.replace("https://auth", "auth"),
            &[],
            "server.public_url",
        ),
        (GOOD.replace("postgres:", "mysql:"), &[], "database.url"),
        (
            GOOD.replace("environment = \"THE_KEY\"", ""),
            &[],
            "root_key.file",
        ),
        (GOOD.replace("from =", "# from ="), &[], "mail.from"),
        (
            GOOD.to_owned(),
            &[("KEYSTEAD_SERVER__TLS_KEY", "/k.pem")],
            "server.tls_certificate",
        ),
        (
            GOOD.to_owned(),
            &[("KEYSTEAD_SERVER__LISTEN", "nowhere")],
            "listen",
        ),
        (
            GOOD.to_owned(),
            &[("KEYSTEAD_OUTBOUND__ALLOWED_NETWORKS", "[\"10.0.0.0/99\"]")],
            "allowed_networks",
        ),
        (
            GOOD.to_owned(),
            &[("KEYSTEAD_NONSENSE__X", "1")],
            "nonsense",
        ),
    ] {
        let (good, said) = check(&text, variables);
        assert!(!good, "{part} was accepted");
        let named = said.to_lowercase().contains(part);
        assert!(named, "{part} is not named in: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn what_is_no_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for (path, what) in [
        ("/nowhere/keystead.toml", "does not exist"),
        (
            folder.path().to_str().unwrap(),
            "is a folder and not a file",
        ),
        ("/dev/null", "is a device and not a file"),
        (pipe.to_str().unwrap(), "is a pipe and not a file"),
    ] {
        let refused = output(&["config", "check", "--config", path]);
        assert!(!refused.status.success());
        let said = said(&refused);
        assert!(said.contains(&format!("{path} {what}")), "{said}");
    }
}

/// An operator who mends one mistake does not want to hear of the next one only then.
#[test]
fn all_mistakes_are_told_at_once() {
    let wrong = GOOD
        .replace("https://auth.example.com", "auth")
        .replace("[database]\n", "[databse]\n")
        .replace("from =", "folder = 1\nport = 5\nfrom =")
        + "[limits]\ncaller_per_minute = \"many\"\n";
    let (good, said) = check(&wrong, &[("KEYSTEAD_SERVER__DRAIN_SECONDS", "long")]);
    assert!(!good, "{said}");
    for told in [
        "server.public_url must be an origin",
        "databse does not exist",
        "database is missing",
        "mail.folder must be a path",
        "mail.port does not exist",
        "limits.caller_per_minute",
        "server.drain_seconds must be",
    ] {
        assert_eq!(said.matches(told).count(), 1, "{told} in: {said}");
    }
    assert!(
        !said.contains("stand-in") && !said.contains("hunter2"),
        "{said}"
    );
    // No table at all.
    let (good, said) = check("server = 1\n", &[]);
    assert!(!good && said.contains("server must be a table"), "{said}");
    assert!(
        said.contains("database is missing") && said.contains("root_key is missing"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 4, "{said}");
}

/// The last line is what is read: it does not say that all is well when it is not.
#[test]
fn files_that_stop_the_start_are_in_the_last_line() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keystead.toml");
    fs::write(&path, GOOD).unwrap();
    for (mode, last) in [
        (
            0o644,
            "the settings are complete, but serve will not start with these files as they are here",
        ),
        (0o600, "the configuration is complete"),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let output = output(&["config", "check", "--config", path.to_str().unwrap()]);
        let said = said(&output);
        assert!(
            output.status.success() && said.trim_end().ends_with(last),
            "{mode:o}: {said}"
        );
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    for words in [
        &["dev"][..],
        &["serve"],
        &["migrate"],
        &["doctor"],
        &["backup"],
        &["restore"],
        &["config", "check"],
    ] {
        let help = output(&[words, &["--help"]].concat());
        let text = said(&help);
        assert!(help.status.success());
        assert!(
            text.contains(&format!("Example: keystead {}", words.join(" "))),
            "{text}"
        );
    }
}
