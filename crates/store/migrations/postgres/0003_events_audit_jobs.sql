-- What happened, for delivery to subscribers; written in the transaction of the change itself.
CREATE TABLE events (
    env_id TEXT NOT NULL REFERENCES environments (id),
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    organization_id TEXT,
    display_name TEXT,
    data TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    dispatched_at BIGINT,
    PRIMARY KEY (env_id, id)
);
CREATE INDEX events_by_age ON events (env_id, occurred_at, id);
CREATE INDEX events_pending ON events (occurred_at, id) WHERE dispatched_at IS NULL;

-- Who did what. Every record holds the hash of the one before it in its lane, so a changed or
-- missing record shows. Several lanes, because writers of one lane wait for each other.
CREATE TABLE audit_records (
    env_id TEXT NOT NULL REFERENCES environments (id),
    lane BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    id TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    request_id TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    previous_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (env_id, lane, sequence)
);
CREATE UNIQUE INDEX audit_records_id ON audit_records (env_id, id);
CREATE INDEX audit_records_by_age ON audit_records (env_id, occurred_at, id);

-- The end of each lane.
CREATE TABLE audit_heads (
    env_id TEXT NOT NULL REFERENCES environments (id),
    lane BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (env_id, lane)
);

-- Background work. `next_at` is when a job may be taken: its start, or the end of the lease of the
-- node that has it, so work of a dead node is taken over. A finished job is deleted.
CREATE TABLE jobs (
    id TEXT NOT NULL PRIMARY KEY,
    env_id TEXT,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    unique_key TEXT,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    holder TEXT,
    last_error TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX jobs_next ON jobs (next_at, id) WHERE state = 'queued';
CREATE UNIQUE INDEX jobs_unique_key ON jobs (kind, unique_key);

-- Short exclusive rights by name. `version` grows with every new holder.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    version BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX leases_expiry ON leases (expires_at);

-- Which process has which node number; the numbers go into ids.
CREATE TABLE nodes (
    number BIGINT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
