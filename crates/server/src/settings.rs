//! What an operator can set, as the reference tells it. A test compares it with what the
//! configuration reads.

/// A table of the file.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    /// One sentence or two about all of it; may be empty.
    pub(crate) about: &'static str,
    pub(crate) settings: &'static [Setting],
}

/// One setting.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) default: Fallback,
    pub(crate) meaning: &'static str,
}

/// What holds when it is not set.
#[derive(Clone, Copy)]
pub(crate) enum Fallback {
    /// The server does not start.
    Required,
    /// Nothing.
    Absent,
    /// A value, as it would be written in the file.
    Value(&'static str),
}

use Fallback::{Absent, Required, Value};

const fn set(name: &'static str, default: Fallback, meaning: &'static str) -> Setting {
    Setting {
        name,
        default,
        meaning,
    }
}

pub(crate) const SECTIONS: &[Section] = &[
    Section {
        name: "server",
        about: "",
        settings: &[
            set(
                "public_url",
                Required,
                "public origin, as clients and browsers see it; it is the issuer of tokens and part of every redirect URI. http only for localhost",
            ),
            set(
                "listen",
                Value("\"127.0.0.1:8443\""),
                "address of the main listener: gRPC, REST, pages, all on one port",
            ),
            set(
                "admin_listen",
                Value("\"127.0.0.1:9443\""),
                "address of health and metrics; keep it private",
            ),
            set(
                "tls_certificate",
                Absent,
                "certificate chain (PEM), with `tls_key`. Without them the listener is plain, for a proxy in front. Replaced files are taken up without a restart",
            ),
            set("tls_key", Absent, "private key (PEM) of the certificate"),
            set(
                "trusted_proxies",
                Value("[]"),
                "networks (CIDR) of proxies whose `X-Forwarded-For`, `-Proto` and `-Host` are believed; from anybody else these headers are dropped",
            ),
            set(
                "max_connections_per_address",
                Value("1000"),
                "connections that one client address may have open at the same time (IPv6: a /64); more are closed at once, and 0 is unlimited. Trusted proxies are not limited: name yours in `trusted_proxies`, or all its clients share this number",
            ),
            set(
                "drain_seconds",
                Value("30"),
                "longest wait for running requests at shutdown",
            ),
        ],
    },
    Section {
        name: "database",
        about: "The connection to a PostgreSQL server on another machine is encrypted and the server's certificate must fit its name \
                (`sslmode=verify-full`), unless the URL says otherwise with an `sslmode` of its own. `sslrootcert=/path/to/ca.pem` in \
                the URL names a certificate authority of yours. `keystead config check` and `doctor` tell what holds.",
        settings: &[
            set(
                "url",
                Required,
                "`sqlite:/path/to/file` for one node, `postgres://user:password@host/database` for one or several",
            ),
            set(
                "max_connections",
                Value("16"),
                "connections per node (PostgreSQL)",
            ),
            set(
                "relaxed_durability",
                Value("false"),
                "SQLite at `synchronous=NORMAL`: faster, but the last moments before a power loss may be undone, which can revive a spent code or bring back a spent refresh token",
            ),
        ],
    },
    Section {
        name: "root_key",
        about: "Exactly one of the three. The key is 32 bytes in base64 or hex: `openssl rand -base64 32` makes one.",
        settings: &[
            set(
                "file",
                Absent,
                "file that only the server can read: mode 600, or 640 when it belongs to root. `serve` refuses others",
            ),
            set("environment", Absent, "name of an environment variable"),
            set(
                "systemd_credential",
                Absent,
                "name of a systemd credential (`LoadCredential=`)",
            ),
        ],
    },
    Section {
        name: "outbound",
        about: "What connectors may reach besides https on public addresses, and how connections to providers leave. Mail and the \
                database go their own way.",
        settings: &[
            set("allowed_networks", Value("[]"), "private networks, as CIDR"),
            set(
                "allowed_hosts",
                Value("[]"),
                "internal hosts; `*.` in front stands for all names below. Link-local and metadata addresses take an entry in `allowed_networks`",
            ),
            set(
                "extra_ca",
                Value("[]"),
                "further certificate authorities (PEM files)",
            ),
            set(
                "proxy",
                Absent,
                "proxy that every connection to a provider goes through: `http://user:password@host:port`, special characters percent-encoded. It opens tunnels (`CONNECT`), so it sees where a connection goes and nothing of what is sent. The server still resolves names itself, judges the address, and names that address to the proxy; the proxy's own address is not judged",
            ),
            set(
                "proxy_resolves_names",
                Value("false"),
                "send names to the proxy, for networks where the server cannot resolve them or the proxy decides by name. The server then judges only addresses that are written as such, and refuses names that only a local network has (`localhost`, names without a dot, `.internal`, `.local`, `.lan`, `.intranet`, `.home.arpa`) unless `allowed_hosts` has them: **the proxy must refuse names that lead to private addresses**",
            ),
            set(
                "connectors",
                Value("[]"),
                "what single connectors may reach besides, such as an API inside your network, each written as a table `[[outbound.connectors]]` with `connector` (its key, such as `GITLAB`, or the identifier of a custom one), `allowed_networks` and `allowed_hosts`. Whoever may change a custom connector may then let it call anything there",
            ),
            set(
                "source_addresses",
                Value("[]"),
                "addresses of this machine that connections leave from, one IPv4 and one IPv6 at most, where providers or a firewall know you by them. With one of a single family only that family is used",
            ),
        ],
    },
    Section {
        name: "agentkit",
        about: "Connectors and connections.",
        settings: &[
            set(
                "apply",
                Absent,
                "file of connectors and connections (see [`keystead apply`](cli.md)) that is applied to the default environment at every start, before the server takes requests; a file that cannot be applied stops the start. Nothing is deleted",
            ),
            set(
                "connector_packs",
                Absent,
                "folder of connector packs that are added to the built-in ones or replace those of the same key: `<slug>/connector.yaml` as in the source, and at the top a file `SHA256SUMS` (`sha256sum */connector.yaml > SHA256SUMS`). A pack that is not listed, does not fit its sum or is not well-formed is left out with a line in the log, and never stops the server. Read at start",
            ),
            set(
                "oauth_apps",
                Value("[]"),
                "OAuth apps of yours that connections of every environment may use instead of a client of their own (`use_platform_creds`), each written as a table `[[agentkit.oauth_apps]]` with `providers` (connector keys, such as `[\"GMAIL\", \"GOOGLEDRIVE\"]`), `client_id` and `client_secret` (`{ file = \"/path\" }` or `{ environment = \"NAME\" }`). Register the redirect URI that each connection's page shows at the provider. New environments begin with a Gmail connection when `GMAIL` is among the providers",
            ),
        ],
    },
    Section {
        name: "mail",
        about: "Sign-in codes of dashboard members. Without mail nobody can sign in to the dashboard.",
        settings: &[
            set(
                "smtp_url",
                Absent,
                "`smtps://user:password@host` (TLS), `smtp://…` (STARTTLS) or `smtp+plain://…` (a relay on this machine); special characters percent-encoded",
            ),
            set("from", Absent, "sender address"),
            set(
                "folder",
                Absent,
                "where mails are written when there is no SMTP server",
            ),
        ],
    },
    Section {
        name: "limits",
        about: "What may be done in a minute, on each node; a burst may use up a minute's worth at once, and 0 is unlimited. A call \
                above a limit is answered with 429 (`RATE_LIMITED`) and `Retry-After`; every answer of the API says what is left in \
                `RateLimit` and `RateLimit-Policy`. An IPv6 network of 64 bits counts as one address. For one member, besides, five \
                codes are mailed per address and 50 in all within 15 minutes, and ten wrong codes per address and 30 in all within an \
                hour. A browser that the member signed in with in the last 180 days is counted on its own, so that others cannot use \
                up its codes. These are counted in the database, for all nodes together. When the wrong codes are used up, the audit log has a \
                record `sign_in.refused`.",
        settings: &[
            set(
                "caller_per_minute",
                Value("60000"),
                "calls of one API client, member or visitor",
            ),
            set(
                "anonymous_per_minute",
                Value("600"),
                "calls from one address without a credential",
            ),
            set(
                "environment_per_minute",
                Value("0"),
                "calls of one environment, all callers together",
            ),
            set(
                "links_per_minute",
                Value("60"),
                "authorization links made for one user",
            ),
            set(
                "invalid_links_per_minute",
                Value("20"),
                "links that do not exist, opened from one address",
            ),
            set(
                "forms_per_minute",
                Value("10"),
                "forms sent for one connected account",
            ),
            set(
                "sign_in_codes_per_minute",
                Value("20"),
                "sign-in codes asked for from one address",
            ),
            set(
                "wrong_codes_per_minute",
                Value("10"),
                "wrong sign-in codes sent from one address",
            ),
        ],
    },
    Section {
        name: "retention",
        about: "How long records are kept, in days; 0 keeps them for ever.",
        settings: &[
            set(
                "events_days",
                Value("90"),
                "events and the history of connected accounts",
            ),
            set(
                "calls_days",
                Value("90"),
                "the log of calls to providers, and tests of connections",
            ),
        ],
    },
    Section {
        name: "signing_keys",
        about: "Keys that sign access tokens.",
        settings: &[set(
            "rotation_days",
            Value("90"),
            "days a key signs before the next one does, at least 7; 0 for ever. The next key is published from the last rotation on: clients that read the key set once must be restarted between two rotations",
        )],
    },
    Section {
        name: "seed",
        about: "Applied at the first start of an empty database, never again.",
        settings: &[
            set(
                "admin_email",
                Absent,
                "first dashboard member, who may do everything; required for an empty database",
            ),
            set(
                "workspace_name",
                Absent,
                "name of the workspace; `Workspace` when absent",
            ),
        ],
    },
];
