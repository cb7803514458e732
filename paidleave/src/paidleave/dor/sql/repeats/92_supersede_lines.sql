-- Mark the rejected lines of earlier imports of the same content, because this import has processed them again.
UPDATE dor_rejected_line AS line
SET superseded_by = %(import_log_id)s
FROM dor_imported_file AS file
WHERE file.kind = %(kind)s
  AND file.digest = %(digest)s
  AND file.import_log_id < %(import_log_id)s
  AND line.import_log_id = file.import_log_id
  AND line.superseded_by IS NULL
