-- Old calls are removed by age.
CREATE INDEX tool_calls_by_age ON tool_calls (env_id, started_at);
