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
    assert!(text.contains("drain_seconds: 7"), "{text}");
    assert!(
        text.contains("db.example.com") && text.contains("mail.example.com"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
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
fn a_missing_file_is_named() {
    let refused = output(&["config", "check", "--config", "/nowhere/keystead.toml"]);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("/nowhere/keystead.toml does not exist"));
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
