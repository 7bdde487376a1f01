-- Connectors made by the developer (AK-014). `document` holds what is never filtered on.
CREATE TABLE custom_providers (
    env_id TEXT NOT NULL REFERENCES environments (id),
    identifier TEXT NOT NULL,
    name_key TEXT NOT NULL,
    display_name TEXT NOT NULL,
    document TEXT NOT NULL,
    proxy_url TEXT NOT NULL,
    proxy_enabled BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (env_id, identifier)
);
CREATE UNIQUE INDEX custom_providers_name ON custom_providers (env_id, name_key);

-- `settings` holds what is not secret, `secrets` is sealed.
CREATE TABLE connections (
    env_id TEXT NOT NULL REFERENCES environments (id),
    id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    key_id_lower TEXT NOT NULL,
    provider_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    auth_mode TEXT NOT NULL,
    settings TEXT NOT NULL,
    secrets BLOB,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (env_id, id)
);
CREATE UNIQUE INDEX connections_key_id ON connections (env_id, key_id);
CREATE INDEX connections_key_id_lower ON connections (env_id, key_id_lower);
CREATE INDEX connections_provider ON connections (env_id, provider_key);

-- An empty organization or user id means that the account belongs to none (AK-200).
CREATE TABLE connected_accounts (
    env_id TEXT NOT NULL REFERENCES environments (id),
    id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    identifier TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    api_config TEXT NOT NULL,
    scope_selection TEXT,
    scopes TEXT NOT NULL,
    credential BLOB,
    credential_version BIGINT NOT NULL,
    token_expires_at BIGINT,
    -- When the background job should refresh; null when nothing can or should be refreshed.
    refresh_due_at BIGINT,
    -- No refresh is tried before this moment (backoff after a transient failure).
    refresh_not_before BIGINT,
    refresh_failures BIGINT NOT NULL,
    -- A refresh in flight: who sent the refresh token, and until when others wait (AK-222).
    lease_holder TEXT,
    lease_until BIGINT,
    last_refreshed_at BIGINT,
    last_used_at BIGINT,
    is_org_wide BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (env_id, id),
    FOREIGN KEY (env_id, connection_id) REFERENCES connections (env_id, id)
);
CREATE UNIQUE INDEX connected_accounts_owner
    ON connected_accounts (env_id, connection_id, identifier, organization_id, user_id);
CREATE INDEX connected_accounts_identifier ON connected_accounts (env_id, identifier);
CREATE INDEX connected_accounts_refresh_due ON connected_accounts (refresh_due_at)
    WHERE refresh_due_at IS NOT NULL;

-- Authorization links: one-time, by the keyed hash of their token (AK-300, AK-301).
CREATE TABLE auth_links (
    env_id TEXT NOT NULL REFERENCES environments (id),
    id TEXT NOT NULL,
    token_hash BLOB NOT NULL,
    account_id TEXT NOT NULL,
    identifier TEXT NOT NULL,
    client_state TEXT NOT NULL,
    user_verify_url TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    completed_at BIGINT,
    PRIMARY KEY (env_id, id),
    FOREIGN KEY (env_id, account_id) REFERENCES connected_accounts (env_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX auth_links_token ON auth_links (env_id, token_hash);
CREATE INDEX auth_links_account ON auth_links (env_id, account_id);
CREATE INDEX auth_links_expiry ON auth_links (expires_at);

-- One trip to the provider's consent page: single use, bound to one browser and connection.
CREATE TABLE auth_flows (
    env_id TEXT NOT NULL REFERENCES environments (id),
    id TEXT NOT NULL,
    link_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    state_hash BLOB NOT NULL,
    browser_hash BLOB NOT NULL,
    sealed BLOB NOT NULL,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (env_id, id),
    FOREIGN KEY (env_id, link_id) REFERENCES auth_links (env_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX auth_flows_state ON auth_flows (env_id, state_hash);
CREATE INDEX auth_flows_link ON auth_flows (env_id, link_id);
CREATE INDEX auth_flows_expiry ON auth_flows (expires_at);

-- Grants that wait until the developer's application says who consented (AK-321, AK-322).
CREATE TABLE pending_grants (
    env_id TEXT NOT NULL REFERENCES environments (id),
    request_hash BLOB NOT NULL,
    link_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    identifier TEXT NOT NULL,
    sealed BLOB NOT NULL,
    attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    consumed_at BIGINT,
    PRIMARY KEY (env_id, request_hash),
    FOREIGN KEY (env_id, account_id) REFERENCES connected_accounts (env_id, id) ON DELETE CASCADE
);
CREATE INDEX pending_grants_account ON pending_grants (env_id, account_id);
CREATE INDEX pending_grants_expiry ON pending_grants (expires_at);

-- What happened to a connected account: consents, refreshes, failures (AK-219, AK-603).
CREATE TABLE account_history (
    env_id TEXT NOT NULL REFERENCES environments (id),
    account_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (env_id, account_id, id),
    FOREIGN KEY (env_id, account_id) REFERENCES connected_accounts (env_id, id) ON DELETE CASCADE
);

-- Calls made with a connected account (AK-459, AK-601). No inputs, no outputs.
CREATE TABLE tool_calls (
    env_id TEXT NOT NULL REFERENCES environments (id),
    id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    source TEXT NOT NULL,
    tool_name TEXT NOT NULL,
    provider TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    connection_name TEXT NOT NULL,
    account_id TEXT NOT NULL,
    identifier TEXT NOT NULL,
    status TEXT NOT NULL,
    http_status BIGINT,
    error_code TEXT NOT NULL,
    duration_micros BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    PRIMARY KEY (env_id, id)
);
CREATE UNIQUE INDEX tool_calls_execution ON tool_calls (env_id, execution_id);
CREATE INDEX tool_calls_account ON tool_calls (env_id, account_id, id);

-- AgentKit settings of an environment: user verification mode, link lifetime.
CREATE TABLE agentkit_settings (
    env_id TEXT NOT NULL PRIMARY KEY REFERENCES environments (id),
    settings TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Runs of "test connection" (AK-116).
CREATE TABLE connection_tests (
    env_id TEXT NOT NULL REFERENCES environments (id),
    id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    status TEXT NOT NULL,
    error TEXT NOT NULL,
    error_description TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (env_id, id),
    FOREIGN KEY (env_id, connection_id) REFERENCES connections (env_id, id) ON DELETE CASCADE
);
CREATE INDEX connection_tests_connection ON connection_tests (env_id, connection_id, id);
