-- A CSV whose response has come needs no submission any more, and keeps its place among the files of its name.
INSERT INTO dor_imported_file (digest, name, kind, import_log_id)
VALUES (%(digest)s, %(name)s, %(kind)s, %(import_log_id)s)
ON CONFLICT (digest) DO NOTHING
