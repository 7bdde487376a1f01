-- The installation itself: one row. `root_key_fingerprint` tells a root key that does not fit the data.
CREATE TABLE installation (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    root_key_fingerprint TEXT NOT NULL,
    default_environment_id TEXT,
    created_at BIGINT NOT NULL
);

CREATE TABLE workspaces (
    id TEXT NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    region_code TEXT NOT NULL,
    context TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE environments (
    id TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    display_name TEXT NOT NULL,
    domain TEXT NOT NULL,
    kind TEXT NOT NULL,
    region_code TEXT NOT NULL,
    authentication_mode TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX environments_domain ON environments (domain);
CREATE INDEX environments_workspace ON environments (workspace_id, created_at, id);

-- Data keys, wrapped by the root key. One is active; older ones still open what they sealed.
CREATE TABLE data_keys (
    env_id TEXT NOT NULL REFERENCES environments (id),
    version BIGINT NOT NULL,
    wrapped BLOB NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (env_id, version)
);

-- Token signing keys, sealed by the environment's data key. Published: next, active, retiring.
CREATE TABLE signing_keys (
    env_id TEXT NOT NULL REFERENCES environments (id),
    id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    activated_at BIGINT,
    remove_after BIGINT,
    PRIMARY KEY (env_id, id)
);
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys (env_id) WHERE status = 'active';
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (env_id) WHERE status = 'next';

-- Rows of a list, kept in the transaction that adds or removes one: nothing is ever counted.
CREATE TABLE counters (
    env_id TEXT NOT NULL REFERENCES environments (id),
    name TEXT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (env_id, name)
);

CREATE TABLE members (
    id TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    role TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_login_at BIGINT
);
CREATE UNIQUE INDEX members_workspace_email ON members (workspace_id, email_key);
CREATE INDEX members_email ON members (email_key);

CREATE TABLE member_sessions (
    token_hash BLOB NOT NULL PRIMARY KEY,
    id TEXT NOT NULL,
    member_id TEXT NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX member_sessions_member ON member_sessions (member_id);
CREATE INDEX member_sessions_expiry ON member_sessions (expires_at);

-- Sign-in attempts. Rows exist for unknown addresses too, so that both kinds behave alike.
CREATE TABLE login_codes (
    attempt_hash BLOB NOT NULL PRIMARY KEY,
    email_key TEXT NOT NULL,
    code_hash BLOB NOT NULL,
    tries BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX login_codes_email ON login_codes (email_key, created_at);
CREATE INDEX login_codes_expiry ON login_codes (expires_at);

-- Sessions of an end user on the account-connection pages: each bound to one connected account.
CREATE TABLE portal_sessions (
    env_id TEXT NOT NULL REFERENCES environments (id),
    token_hash BLOB NOT NULL,
    id TEXT NOT NULL,
    connected_account_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (env_id, token_hash)
);
CREATE INDEX portal_sessions_account ON portal_sessions (env_id, connected_account_id);
CREATE INDEX portal_sessions_expiry ON portal_sessions (env_id, expires_at);
