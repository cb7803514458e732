-- Mark the rejected lines of an import that a replay has imported.
UPDATE dor_rejected_line AS line
SET superseded_by = %(import_log_id)s
FROM unnest(%(line_numbers)s::bigint[]) AS imported (line_number)
WHERE line.import_log_id = %(replayed_import_log_id)s
  AND line.line_number = imported.line_number
  AND line.superseded_by IS NULL
