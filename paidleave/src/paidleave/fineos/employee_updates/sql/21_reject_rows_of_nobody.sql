-- Refuse the rows whose employee we neither know nor can create, and those that give a new employee a second SSN.
WITH refused AS (
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
       CASE WHEN has_none THEN 'no SSN of an employee whom we do not know' ELSE 'SSN of another employee' END, true
FROM refused
