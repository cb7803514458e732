-- Mark the CSV as used, so that it is moved after all responses have been imported.
INSERT INTO processed_object (source, uri, version)
VALUES (%(source)s, %(csv_name)s, %(csv_digest)s)
ON CONFLICT DO NOTHING
