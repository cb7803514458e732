-- Remove the rows of employees that are no longer in the database, because they can never be sent.
DELETE FROM employee_push_to_fineos_queue AS queue
WHERE queue.action IN ('INSERT', 'UPDATE', 'UPDATE_NEW_EMPLOYER')
  AND NOT EXISTS (SELECT FROM employee WHERE employee.employee_id = queue.employee_id)
