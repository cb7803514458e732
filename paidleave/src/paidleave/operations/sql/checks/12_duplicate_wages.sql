-- Employees with more than one wage record for the same employer and quarter.
SELECT count(*)
FROM (
    SELECT FROM wages_and_contributions GROUP BY employee_id, employer_id, filing_period HAVING count(*) > 1
) AS duplicate
