-- Employees with wages but without a tax identifier, by which DOR identifies people.
SELECT count(*)
FROM employee
WHERE tax_identifier_id IS NULL
  AND EXISTS (SELECT FROM wages_and_contributions AS wage WHERE wage.employee_id = employee.employee_id)
