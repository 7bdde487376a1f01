-- Three tables of the shape that creating an organization writes: the row, its event, its audit record.
CREATE TABLE object (env_id TEXT, id TEXT, name TEXT, external_id TEXT, created_at BIGINT, PRIMARY KEY (env_id, id));
CREATE UNIQUE INDEX object_external_id ON object (env_id, external_id);
CREATE TABLE event (env_id TEXT, id TEXT, data TEXT, occurred_at BIGINT, PRIMARY KEY (env_id, id));
CREATE TABLE audit (env_id TEXT, id TEXT, detail TEXT, hash BYTEA, occurred_at BIGINT, PRIMARY KEY (env_id, id));
