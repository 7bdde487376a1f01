CREATE TABLE clients (
    env_id TEXT NOT NULL REFERENCES environments (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    client_type TEXT NOT NULL,
    access_token_expiry BIGINT,
    disallow_api_access BOOLEAN NOT NULL,
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (env_id, id)
);
CREATE INDEX clients_by_age ON clients (env_id, created_at, id);
CREATE UNIQUE INDEX clients_one_env ON clients (env_id) WHERE client_type = 'ENV';

CREATE TABLE client_secrets (
    env_id TEXT NOT NULL,
    id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    secret_hash BYTEA NOT NULL,
    suffix TEXT NOT NULL,
    status TEXT NOT NULL,
    created_by TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    PRIMARY KEY (env_id, id),
    FOREIGN KEY (env_id, client_id) REFERENCES clients (env_id, id) ON DELETE CASCADE
);
CREATE INDEX client_secrets_client ON client_secrets (env_id, client_id, created_at, id);

CREATE TABLE organizations (
    env_id TEXT NOT NULL REFERENCES environments (id),
    id TEXT COLLATE "C" NOT NULL,
    display_name TEXT NOT NULL,
    region_code TEXT NOT NULL,
    external_id TEXT,
    slug TEXT,
    logo_url TEXT,
    metadata TEXT NOT NULL,
    features TEXT NOT NULL,
    search_text TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (env_id, id)
);
CREATE UNIQUE INDEX organizations_external_id ON organizations (env_id, external_id);
CREATE UNIQUE INDEX organizations_slug ON organizations (env_id, slug);
CREATE INDEX organizations_by_age ON organizations (env_id, created_at, id);

-- Every suffix of an organization's search text, cut to 16 characters: a part of a name is the
-- beginning of some suffix, so searching for a part is a range of this key. Rows are removed by
-- computing the same suffixes again, so no second index is needed.
CREATE TABLE organization_suffixes (
    env_id TEXT NOT NULL,
    suffix TEXT COLLATE "C" NOT NULL,
    organization_id TEXT NOT NULL,
    PRIMARY KEY (env_id, suffix, organization_id)
);
