-- Delete all rows of a FEIN except the last one, which is the latest.
DELETE FROM staged_submission AS row
USING staged_submission AS later
WHERE later.fein = row.fein AND later.line_number > row.line_number
