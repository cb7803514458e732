-- Queue the new and renamed employees for FINEOS.
INSERT INTO employee_push_to_fineos_queue (employee_push_to_fineos_queue_id, employee_id, action, modified_at)
SELECT new_id, employee_id, CASE WHEN is_new THEN 'INSERT' ELSE 'UPDATE' END, now()
FROM person
WHERE is_new OR is_renamed
ORDER BY new_id
