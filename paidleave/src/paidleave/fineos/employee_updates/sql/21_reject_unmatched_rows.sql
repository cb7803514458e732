-- Reject the rows of employees that are neither stored nor can be created, and rows with a second SSN of a new employee.
WITH unmatched AS (
    DELETE FROM staged_update AS staged
    USING person
    WHERE person.employee_id = staged.employee_id
      AND NOT person.is_known
      AND (person.outcome <> 'create' OR staged.tax_identifier <> person.tax_identifier)
    RETURNING
        staged.line_number,
        person.outcome = 'no SSN' AS has_none
)
INSERT INTO rejected (line_number, field, reason, is_whole)
SELECT line_number, 'EMPLOYEENATIONALID',
       CASE WHEN has_none THEN 'unknown employee without an SSN' ELSE 'SSN of another employee' END, true
FROM unmatched
