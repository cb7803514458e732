-- Record a used CSV as imported, so that it is not submitted again and retains its number among files of its name.
INSERT INTO dor_imported_file (digest, name, kind, import_log_id)
SELECT %(csv_digest)s, %(csv_name)s, %(csv_kind)s, %(import_log_id)s
WHERE NOT EXISTS (SELECT FROM dor_imported_file WHERE digest = %(csv_digest)s AND kind = %(csv_kind)s)
