-- A grant that waits for verification lies over the account's state and leaves it alone (AK-323): an account is
-- PENDING_VERIFICATION until the moment in pending_until, and what `status` says afterwards.
ALTER TABLE connected_accounts ADD COLUMN pending_until BIGINT;
UPDATE connected_accounts
    SET status = CASE WHEN credential IS NULL THEN 'PENDING_AUTH' ELSE 'ACTIVE' END,
        pending_until = (SELECT MAX(p.expires_at) FROM pending_grants p
                         WHERE p.env_id = connected_accounts.env_id AND p.account_id = connected_accounts.id AND p.consumed_at IS NULL)
    WHERE status = 'PENDING_VERIFICATION';
CREATE INDEX connected_accounts_pending_until ON connected_accounts (pending_until) WHERE pending_until IS NOT NULL;
