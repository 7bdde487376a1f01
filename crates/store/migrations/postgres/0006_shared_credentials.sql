-- A connection has at most one credential that all its users share (AK-241).
CREATE UNIQUE INDEX connected_accounts_org_wide ON connected_accounts (env_id, connection_id) WHERE is_org_wide;
