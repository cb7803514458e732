-- Queue entries for employees or employers that do not exist; the queue has no foreign keys.
SELECT count(*)
FROM employee_push_to_fineos_queue AS queue
WHERE NOT EXISTS (SELECT FROM employee WHERE employee.employee_id = queue.employee_id)
   OR queue.employer_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM employer WHERE employer.employer_id = queue.employer_id)
