\set number random(1, 9000000000000000000)
BEGIN;
INSERT INTO object VALUES ('env_1', 'org_' || :number, 'Company ' || :number, 'bench-' || :number, :number);
INSERT INTO event VALUES ('env_1', 'evt_' || :number, repeat('x', 400), :number);
INSERT INTO audit VALUES ('env_1', 'aud_' || :number, repeat('x', 200), '\x00', :number);
COMMIT;
