-- Queue the new employers for FINEOS with their exemption and its end date.
INSERT INTO employer_push_to_fineos_queue (
    employer_push_to_fineos_queue_id, employer_id, action, modified_at,
    family_exemption, medical_exemption, exemption_cease_date
)
SELECT new_id, employer_id, 'INSERT', now(), family_exemption, medical_exemption, cease_date
FROM named_employer
JOIN employer_exemption USING (fein)
WHERE is_new
ORDER BY new_id
