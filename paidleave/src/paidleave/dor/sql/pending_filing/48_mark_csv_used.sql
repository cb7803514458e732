-- The CSV may be moved away when no response waits any more.
INSERT INTO processed_object (source, uri, version)
VALUES (%(source)s, %(name)s, %(digest)s)
ON CONFLICT DO NOTHING
