-- As organizations.sqlite.sql, for PostgreSQL.
SET synchronous_commit = off;
BEGIN;
INSERT INTO organizations (env_id, id, display_name, region_code, external_id, slug, logo_url, metadata, features,
    search_text, created_at, updated_at)
  SELECT :'env', 'org_' || (100000000000000000 + value), 'Company k7' || value || 'x', 'US', 'load-' || value, NULL, NULL,
    '{}', '{}', 'company k7' || value || 'x' || chr(31) || 'load-' || value, 1700000000000000 + value, 1700000000000000 + value
  FROM generate_series(:first::bigint, :last::bigint) AS value;
INSERT INTO organization_suffixes (env_id, suffix, organization_id)
  SELECT DISTINCT env_id, substr(search_text, n, 16), id
  FROM organizations CROSS JOIN generate_series(1, 60) AS n
  WHERE n + 2 <= length(search_text) AND env_id = :'env'
    AND id BETWEEN 'org_' || (100000000000000000 + :first::bigint) AND 'org_' || (100000000000000000 + :last::bigint);
INSERT INTO counters (env_id, name, lane, value) VALUES (:'env', 'organizations', 0, :last::bigint - :first::bigint + 1)
  ON CONFLICT (env_id, name, lane) DO UPDATE SET value = counters.value + excluded.value;
COMMIT;
VACUUM ANALYZE organizations;
VACUUM ANALYZE organization_suffixes;
CHECKPOINT;
