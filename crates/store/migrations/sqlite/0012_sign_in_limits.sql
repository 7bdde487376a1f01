-- What was done for one address within a span of time: codes asked for, codes tried. Rows exist for
-- unknown addresses too. `network` is empty for all visitors together.
CREATE TABLE sign_in_limits (
    email_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    network TEXT NOT NULL,
    total BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    PRIMARY KEY (email_key, kind, network)
);
CREATE INDEX sign_in_limits_end ON sign_in_limits (ends_at);
-- Nothing counts attempts by their address any more.
DROP INDEX login_codes_email;
