-- Accounts that belong to an organization, to remove them with it (DR-010).
CREATE INDEX connected_accounts_organization ON connected_accounts (env_id, organization_id, id)
    WHERE organization_id <> '';
