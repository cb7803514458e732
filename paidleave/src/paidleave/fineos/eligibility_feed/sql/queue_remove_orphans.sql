-- Rows of people who are no longer in the database: there is nothing to send, and they could never leave the queue.
DELETE FROM employee_push_to_fineos_queue AS queue
WHERE queue.action IN ('INSERT', 'UPDATE', 'UPDATE_NEW_EMPLOYER')
  AND NOT EXISTS (SELECT FROM employee WHERE employee.employee_id = queue.employee_id)
