-- Queue the known employers for FINEOS with their previous full exemption, which ended on the effective date.
INSERT INTO employer_push_to_fineos_queue (
    employer_push_to_fineos_queue_id, employer_id, action, modified_at,
    family_exemption, medical_exemption, exemption_commence_date, exemption_cease_date
)
SELECT new_id, employer_id, 'UPDATE', now(), true, true, '9999-12-31', cease_date
FROM named_employer
JOIN employer_exemption USING (fein)
WHERE NOT is_new AND NOT is_retained
ORDER BY new_id
