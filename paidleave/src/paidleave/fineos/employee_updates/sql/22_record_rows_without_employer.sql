-- Reject the occupation of rows with an unknown employer. The person's data of these rows are imported.
INSERT INTO rejected (line_number, field, reason, is_whole)
SELECT staged.line_number, 'ORG_CUSTOMERNO',
       CASE WHEN staged.fineos_employer_id IS NULL THEN 'no employer number' ELSE 'unknown employer' END,
       false
FROM staged_update AS staged
WHERE NOT EXISTS (SELECT FROM employer WHERE employer.fineos_employer_id = staged.fineos_employer_id)
