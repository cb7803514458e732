-- Of several rows for one FEIN only the last stays: it is the latest statement.
DELETE FROM staged_submission AS row
USING staged_submission AS later
WHERE later.fein = row.fein AND later.line_number > row.line_number
