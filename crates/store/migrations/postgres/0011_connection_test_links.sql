-- The link that a test hands out and its end: what happens with the link is the test's result.
ALTER TABLE connection_tests ADD COLUMN link_id TEXT;
ALTER TABLE connection_tests ADD COLUMN expires_at BIGINT;
CREATE INDEX connection_tests_link ON connection_tests (env_id, link_id);
