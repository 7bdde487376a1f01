-- Organizations @FIRST@ to @LAST@ of an environment, with index and counter as the product writes them; no events.
PRAGMA foreign_keys = ON;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -262144;
BEGIN IMMEDIATE;
INSERT INTO organizations (env_id, id, display_name, region_code, external_id, slug, logo_url, metadata, features,
    search_text, created_at, updated_at)
  SELECT '@ENV@', 'org_' || (100000000000000000 + value), 'Company k7' || value || 'x', 'US', 'load-' || value, NULL, NULL,
    '{}', '{}', 'company k7' || value || 'x' || char(31) || 'load-' || value, 1700000000000000 + value, 1700000000000000 + value
  FROM generate_series(@FIRST@, @LAST@);
INSERT INTO organization_suffixes (env_id, suffix, organization_id)
  WITH RECURSIVE positions (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM positions WHERE n < 60)
  SELECT DISTINCT env_id, substr(search_text, n, 16), id FROM organizations JOIN positions ON n + 2 <= length(search_text)
  WHERE env_id = '@ENV@' AND id BETWEEN 'org_' || (100000000000000000 + @FIRST@) AND 'org_' || (100000000000000000 + @LAST@)
  ORDER BY 1, 2, 3;
INSERT INTO counters (env_id, name, lane, value) VALUES ('@ENV@', 'organizations', 0, @LAST@ - @FIRST@ + 1)
  ON CONFLICT (env_id, name, lane) DO UPDATE SET value = counters.value + excluded.value;
COMMIT;
PRAGMA wal_checkpoint(TRUNCATE);
ANALYZE;
