-- Mark the CSV as used, so that it is moved after all responses have been imported.
INSERT INTO processed_object (source, uri, version)
VALUES (%(source)s, %(name)s, %(digest)s)
ON CONFLICT DO NOTHING
