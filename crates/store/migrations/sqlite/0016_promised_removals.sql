-- When an account was promised to be removed (DR-010); until a job does it, nothing makes it live again.
ALTER TABLE connected_accounts ADD COLUMN removed_at BIGINT;
