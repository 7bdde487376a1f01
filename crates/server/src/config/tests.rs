use super::{
    Config,
    read::{File, extract},
};
use crate::settings::{Fallback, SECTIONS};
use anyhow::Result;
use figment::{
    Figment,
    providers::{Format, Toml},
};
use keystead_net::Names;
use std::collections::BTreeSet;

fn parse(text: &str) -> Result<Config> {
    extract(
        Figment::new(),
        Some(&File::of("keystead.toml".into(), text)?),
    )
}

const GOOD: &str = r#"
    [server]
    public_url = "https://auth.example.com"
    [database]
    url = "sqlite:/var/lib/keystead/keystead.db"
    [root_key]
    file = "/etc/keystead/root.key"
"#;

/// Part of DB-201
#[test]
fn a_small_file_is_enough() {
    let config = parse(GOOD).unwrap();
    assert_eq!(config.server.drain_seconds, 30);
}

#[test]
fn mistakes_are_named() {
    for (from, to, part) in [
        ("https://auth.example.com", "auth.example.com", "public_url"),
        ("sqlite:", "mysql:", "database.url"),
        ("file =", "fil =", "fil"),
        (
            "[database]",
            "[signing_keys]\nrotation_days = 6\n[database]",
            "rotation_days",
        ),
        ("file = \"/etc/keystead/root.key\"", "", "exactly one"),
        (
            "[database]",
            "[outbound]\nproxy = \"https://u:hunter2@proxy\"\n[database]",
            "outbound.proxy must",
        ),
        (
            "[database]",
            "[outbound]\nproxy_resolves_names = true\n[database]",
            "needs outbound.proxy",
        ),
        (
            "[database]",
            "[outbound]\nsource_addresses = [\"203.0.113.7\", \"203.0.113.8\"]\n[database]",
            "source_addresses",
        ),
    ] {
        let error = parse(&GOOD.replace(from, to)).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains(part) && !text.contains("hunter2"), "{text}");
    }
}

/// Part of AK-470
#[test]
fn connectors_are_opened_one_by_one() {
    let with = |more: &str| {
        parse(&format!(
            "{GOOD}\n[outbound]\nallowed_hosts = [\"a.corp.test\"]\n{more}"
        ))
    };
    let one = "[[outbound.connectors]]\nconnector = \"GITLAB\"\nallowed_networks = [\"10.1.0.0/16\"]\n\
               allowed_hosts = [\"*.git.corp.test\"]\n";
    let outbound = with(one).unwrap().outbound;
    assert!(outbound.policy().unwrap().allowed.is_empty());
    let wider = outbound.wider_policies().unwrap();
    let policy = &wider["GITLAB"];
    assert_eq!((policy.allowed.len(), policy.allowed_hosts.len()), (1, 2));
    for wrong in [
        one.repeat(2),
        one.replace("GITLAB", ""),
        one.replace("*.git", "http://git"),
    ] {
        let error = with(&wrong).unwrap_err().to_string();
        assert!(error.contains("outbound.connectors"), "{error}");
    }
}

/// Part of AK-107
#[test]
fn apps_of_the_operator_are_read_and_checked() {
    let with = |app: &str| parse(&format!("{GOOD}\n[[agentkit.oauth_apps]]\n{app}"));
    let good = "providers = [\"GMAIL\"]\nclient_id = \"c\"\nclient_secret = { environment = \"THE_SECRET\" }";
    let read = with(good).unwrap();
    assert_eq!(read.agentkit.oauth_apps[0].providers, ["GMAIL"]);
    for (from, to, part) in [
        ("\"GMAIL\"", "\"GMAIL\", \"GMAIL\"", "two apps"),
        ("\"GMAIL\"", "\"gmail\"", "no connector"),
        ("\"GMAIL\"", "\"BRAVE\"", "no connector"),
        ("\"GMAIL\"", "", "takes providers"),
        ("client_id = \"c\"", "client_id = \"\"", "client_id"),
        ("environment = \"THE_SECRET\"", "", "client_secret"),
        (
            "{ environment",
            "{ file = \"/x\", environment",
            "client_secret",
        ),
        (
            "{ environment = \"THE_SECRET\" }",
            "\"hunter2\"",
            "client_secret",
        ),
    ] {
        let error = with(&good.replace(from, to)).unwrap_err().to_string();
        assert!(
            error.contains(part) && !error.contains("hunter2"),
            "{from} -> {to}: {error}"
        );
    }
}

/// Part of AK-473
#[test]
fn a_proxy_and_source_addresses_are_read() {
    let text = format!(
        "{GOOD}\n[outbound]\nproxy = \"http://u:p@proxy.test:3128\"\nproxy_resolves_names = true\n\
         source_addresses = [\"203.0.113.7\", \"2001:db8::7\"]"
    );
    let egress = parse(&text).unwrap().outbound.egress().unwrap();
    let proxy = egress.proxy.unwrap();
    assert_eq!((proxy.port, proxy.names), (3128, Names::AtProxy));
    assert_eq!(egress.source_v4, Some([203, 0, 113, 7].into()));
    assert!(egress.source_v6.is_some());
    let plain = parse(GOOD).unwrap().outbound.egress().unwrap();
    assert!(plain.proxy.is_none());
}

/// The names that a table takes, as the reader itself knows them.
fn names(table: &str) -> BTreeSet<&'static str> {
    let header = format!("[{table}]");
    let more = format!("{header}\nno_such_setting = 1\n");
    let text = if GOOD.contains(&header) {
        GOOD.replace(&header, &more)
    } else {
        format!("{GOOD}\n{more}")
    };
    let figment = Figment::new().merge(Toml::string(&text));
    let error = figment.extract::<Config>().unwrap_err();
    let Some(figment::error::Kind::UnknownField(_, known)) =
        error.into_iter().map(|one| one.kind).next()
    else {
        panic!("[{table}] takes anything")
    };
    known.iter().copied().collect()
}

/// The reference of the settings is complete, and true about what holds when one is not set.
#[test]
fn the_reference_names_every_setting_and_its_default() {
    let sections: BTreeSet<&str> = SECTIONS.iter().map(|section| section.name).collect();
    let known = names("no_such_table");
    assert_eq!(sections, known);
    let mut text = GOOD.to_owned();
    for section in SECTIONS {
        let settings = section.settings.iter().map(|setting| setting.name);
        assert_eq!(
            settings.collect::<BTreeSet<_>>(),
            names(section.name),
            "{}",
            section.name
        );
        let mut lines = vec![format!("[{}]", section.name)];
        for setting in section.settings {
            if let Fallback::Value(value) = setting.default {
                lines.push(format!("{} = {value}\n", setting.name));
            }
        }
        let lines = lines.join("\n");
        let header = format!("[{}]", section.name);
        text = if text.contains(&header) {
            text.replace(&header, &lines)
        } else {
            format!("{text}\n{lines}")
        };
    }
    let (spelt_out, short) = (parse(&text).unwrap(), parse(GOOD).unwrap());
    assert_eq!(format!("{spelt_out:?}"), format!("{short:?}"));
}

#[test]
fn every_mistake_is_named_at_once() {
    let text = GOOD
        .replace("https://auth", "auth")
        .replace("sqlite:", "mysql:");
    let error = parse(&text).unwrap_err().to_string();
    assert!(
        error.contains("public_url") && error.contains("database.url"),
        "{error}"
    );
}

#[test]
fn no_password_is_shown() {
    let text = GOOD.replace(
        "sqlite:/var/lib/keystead/keystead.db",
        "postgres://u:hunter2@h:5432/d",
    ) + "[mail]\nsmtp_url = \"smtps://u:hunter2@mail.test\"\nfrom = \"a@b.test\"\n\
         [outbound]\nproxy = \"http://u:hunter2@proxy.test:3128\"";
    let shown = format!("{:?}", parse(&text).unwrap());
    assert!(
        shown.contains("postgres://…@h:5432/d")
            && shown.contains("smtps://…@mail.test")
            && shown.contains("http://…@proxy.test:3128"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"));
}
