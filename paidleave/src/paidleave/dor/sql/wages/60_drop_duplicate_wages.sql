-- Delete all B lines of a person, employer and quarter except the last one, which is DOR's latest.
DELETE FROM staged_wage
USING (
    SELECT ssn, employer_id, filing_period, max(line_number) AS last_line
    FROM staged_wage
    GROUP BY ssn, employer_id, filing_period
    HAVING count(*) > 1
) AS repeated
WHERE staged_wage.ssn = repeated.ssn
  AND staged_wage.employer_id = repeated.employer_id
  AND staged_wage.filing_period = repeated.filing_period
  AND staged_wage.line_number < repeated.last_line
