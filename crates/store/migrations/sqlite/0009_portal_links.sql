-- The link that a visitor of the connect page opened; null in sessions from before.
ALTER TABLE portal_sessions ADD COLUMN link_id TEXT;
