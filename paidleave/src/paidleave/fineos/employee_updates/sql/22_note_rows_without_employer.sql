-- Of rows whose employer we don't know, the person's data is taken over and the occupation is not.
INSERT INTO rejected (line_number, field, reason, is_whole)
SELECT staged.line_number, 'ORG_CUSTOMERNO',
       CASE WHEN staged.fineos_employer_id IS NULL THEN 'no number of an employer' ELSE 'employer that we do not know' END,
       false
FROM staged_update AS staged
WHERE NOT EXISTS (SELECT FROM employer WHERE employer.fineos_employer_id = staged.fineos_employer_id)
