-- Update the fields and reasons of lines that a replay has rejected again.
UPDATE dor_rejected_line AS line
SET record_kind = rejected.record_kind,
    field = rejected.field,
    reason = rejected.reason
FROM unnest(%(line_numbers)s::bigint[], %(record_kinds)s::text[], %(fields)s::text[], %(reasons)s::text[])
    AS rejected (line_number, record_kind, field, reason)
WHERE line.import_log_id = %(replayed_import_log_id)s
  AND line.line_number = rejected.line_number
  AND (line.record_kind, line.field, line.reason)
      IS DISTINCT FROM (rejected.record_kind, rejected.field, rejected.reason)
