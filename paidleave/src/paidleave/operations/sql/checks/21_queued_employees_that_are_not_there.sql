-- Queue entries of employees that don't exist, or of employers that don't, where they name one.
SELECT count(*)
FROM employee_push_to_fineos_queue AS queue
WHERE NOT EXISTS (SELECT FROM employee WHERE employee.employee_id = queue.employee_id)
   OR queue.employer_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM employer WHERE employer.employer_id = queue.employer_id)
