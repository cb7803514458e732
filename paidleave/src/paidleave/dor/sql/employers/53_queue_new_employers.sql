-- Queue the new employers for FINEOS, without a previous exemption.
INSERT INTO employer_push_to_fineos_queue (employer_push_to_fineos_queue_id, employer_id, action, modified_at)
SELECT new_id, new_id, 'INSERT', now()
FROM employer_line
WHERE outcome = 'create'
ORDER BY new_id
