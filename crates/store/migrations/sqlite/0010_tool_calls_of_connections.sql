-- The newest calls of a connection, for its health (AK-117).
CREATE INDEX tool_calls_connection ON tool_calls (env_id, connection_id, id);
