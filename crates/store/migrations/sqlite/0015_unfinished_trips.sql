-- Trips that nobody finished may hold a grant, which is given back when their time is over (AK-013).
CREATE INDEX auth_flows_unfinished ON auth_flows (expires_at) WHERE used_at IS NULL;
