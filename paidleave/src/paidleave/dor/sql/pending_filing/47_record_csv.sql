-- Record a used CSV as imported, so that it is not submitted again and retains its number among files of its name.
INSERT INTO dor_imported_file (digest, name, kind, import_log_id)
VALUES (%(digest)s, %(name)s, %(kind)s, %(import_log_id)s)
ON CONFLICT (digest) DO NOTHING
