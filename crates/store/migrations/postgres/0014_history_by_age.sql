-- Old history of accounts and old tests of connections are removed by age; the health of a connection
-- looks at the history of a day (AK-117).
CREATE INDEX account_history_by_age ON account_history (env_id, at);
CREATE INDEX connection_tests_by_age ON connection_tests (env_id, created_at);
