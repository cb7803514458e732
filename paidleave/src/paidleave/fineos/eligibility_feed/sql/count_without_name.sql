-- Count the employees of full and list mode that are not exported because they have no name.
SELECT count(*)
FROM employee
WHERE (btrim(first_name) = '' OR btrim(last_name) = '')
  AND EXISTS (SELECT FROM wages_and_contributions AS wage
              WHERE wage.employee_id = employee.employee_id
                AND (%(employer_ids)s::uuid[] IS NULL OR wage.employer_id = ANY (%(employer_ids)s)))
